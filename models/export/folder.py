"""What an exported folder holds, and its `detector.json`, which says what the detector is.

| engine | file | needs |
|---|---|---|
| `native` | `model.safetensors`, our names | this toolkit |
| `transformers` | `transformers.safetensors` and two `*config.json` | transformers |
| `onnx_fp32`, `onnx_int8` | `model.onnx`, `model_int8.onnx` | onnxruntime |
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from dataio.checked import FLAG, NUMBER, TEXT, WHOLE, read_json
from dataio.schema import SAMPLE_RATE, UserError
from dataio.whole_files import CannotWrite
from models import TOOLKIT_VERSION
from models.checkpoints import SAFETENSORS
from models.front_ends.config import CONFIGS
from models.heads.catalogue import HEADS
from models.scoring.files import write_json

ABOUT = "detector.json"
FORMAT = "antideepfake-export-1"
FILES = {
    "native": SAFETENSORS,
    "transformers": "transformers.safetensors",
    "onnx_fp32": "model.onnx",
    "onnx_int8": "model_int8.onnx",
}
CALIBRATION, SELFTEST, CARD, RUN_ONNX = "calibration.json", "selftest", "README.md", "run_onnx.py"
LABELS = ("fake", "real")
DIRECTION = "real - fake logit: the larger, the more likely real"
TOLERANCE = 1e-3  # of a logit, between engines that compute the same in float32
SHAPE = {
    "format": TEXT, "model": TEXT, "head": {"name": TEXT, "last?": TEXT, ...: WHOLE},
    "checkpoint_sha256": TEXT, "threshold": NUMBER, "license": TEXT, "released": FLAG,
    "tolerances": {...: NUMBER}, "labels": [TEXT], "direction": TEXT, "sample_rate": WHOLE,
    "toolkit_version": TEXT,
}  # fmt: skip


@dataclass
class About:
    """`checkpoint_sha256` of what was exported; `released`: it derives from the released weights;
    `tolerances`: the largest difference of a logit that the self-test allows, by engine.
    """

    model: str
    head: dict
    checkpoint_sha256: str
    threshold: float
    license: str
    released: bool
    tolerances: dict[str, float] = field(default_factory=lambda: {"native": TOLERANCE})
    labels: tuple[str, ...] = LABELS
    direction: str = DIRECTION
    sample_rate: int = SAMPLE_RATE
    toolkit_version: str = TOOLKIT_VERSION

    def write(self, folder: Path) -> None:
        write_json(folder / ABOUT, {"format": FORMAT, **asdict(self)})


def read_about(folder: Path) -> About:
    """What `detector.json` of anybody's folder says; UserError where it is none of ours."""
    path = folder / ABOUT
    remedy = "export the detector again"
    try:
        content = read_json(path, SHAPE, remedy)
    except FileNotFoundError:
        raise UserError(
            f"{folder} is no folder of `main.py export`: there is no {ABOUT} in it"
        ) from None
    if content.pop("format") != FORMAT or content["model"] not in CONFIGS:
        raise UserError(f"{path} is of another format or model than this version knows: {remedy}")
    if content["head"]["name"] not in HEADS:  # somebody's code is never run for a name in a file
        raise UserError(f"{path} names a head of its own: score with its YAML instead")
    return About(**content | {"labels": tuple(content["labels"])})


def write_weights(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """A safetensors file; UserError where the disk takes none."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.touch()
    mode = path.stat().st_mode  # as the umask has it; the package makes files for their owner alone
    try:
        save_file({n: t.contiguous() for n, t in tensors.items()}, path, metadata={"format": "pt"})
        path.chmod(mode)
    except SafetensorError as error:
        raise CannotWrite(
            f"cannot write {path.name} ({error}): free some space on its disk, or name another"
            " --output_folder"
        ) from error
