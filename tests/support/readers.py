"""What the watched child calls: each way that a checkpoint of a stranger comes in.

Everything is imported here, before the child is given its limits of memory.
"""

from __future__ import annotations

import safetensors.torch  # noqa: F401

from models.checkpoints import load_detector
from models.training.run import initial_detector


def score_with(source: str) -> str:
    """A detector for scoring."""
    return load_detector("w2v_tiny", source)[1].kind


def train_from(source: str) -> str:
    """A detector to be trained."""
    wanted = {"seed": 1, "front_end": {"engine": "native"}, "mask_padding": True, "lora": None}
    wanted |= {"model": "w2v_tiny", "head": {"name": "mean_linear"}}
    return type(initial_detector({**wanted, "ckpt_path": source}, resuming=False)).__name__
