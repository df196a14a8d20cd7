"""What a run with LoRA keeps of its detector: adapters, head, and what they belong to."""

from __future__ import annotations

from pathlib import Path

import torch
from speechbrain.utils.checkpoints import mark_as_saver, register_checkpoint_hooks
from torch import Tensor

from dataio.schema import UserError
from models.checkpoints import CheckpointInfo
from models.detector import Detector
from models.lora import DOWN, UP, adapt, settings


def put_adapters(detector: Detector, hparams: dict, base: CheckpointInfo | None) -> Adapters | None:
    """Adapters as the YAML has them, in `detector`, whose weights are `base`; None without LoRA.

    UserError where there are no weights to adapt, or more is said of what trains.
    """
    if hparams["lora"] is None:
        return None
    full = settings(hparams["lora"])
    if base is None:
        raise UserError("lora adapts trained weights: name a checkpoint as --ckpt_path")
    if hparams["freeze_front_end"] != "none" or hparams["freeze_until_step"] is not None:
        raise UserError(
            "lora freezes the front end itself: leave out freeze_front_end and its step"
        )
    adapt(detector, full)
    origin = {"base": str(base.path.absolute()), "sha256": base.sha256}
    return Adapters(detector, {**full, "naming": detector.m_ssl.naming, **origin})


@register_checkpoint_hooks
class Adapters:
    """In a checkpoint in place of the detector: adapters, head, and `note` of what they adapt."""

    def __init__(self, detector: Detector, note: dict[str, object]) -> None:
        self.detector, self.note = detector, note

    def tensors(self) -> dict[str, Tensor]:
        head = f"{self.detector.head_name}."
        state = self.detector.state_dict()
        return {n: t for n, t in state.items() if n.startswith(head) or n.endswith((UP, DOWN))}

    @mark_as_saver
    def save(self, path: Path) -> None:
        torch.save({"lora": self.note, "state_dict": self.tensors()}, path)

    def load_state_dict(self, content: dict) -> None:
        """ValueError where they are others than this run's, or of other weights."""
        former, own = content["lora"], self.tensors()
        for key in self.note.keys() - {"base"}:  # which may have moved
            if former[key] != self.note[key]:
                raise ValueError(f"its lora has {key} {former[key]}, not {self.note[key]}")
        state = content["state_dict"]
        if state.keys() != own.keys():
            raise ValueError("it holds other tensors than those that train")
        if any(state[name].shape != tensor.shape for name, tensor in own.items()):
            raise ValueError("a tensor has another shape")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(state[name])
