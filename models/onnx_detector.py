"""A detector that is an exported ONNX file, run by ONNX Runtime on the CPU.

    detector = OnnxDetector("exported/model_int8.onnx")
    logits, embedding = detector(waveforms, lengths)

Everything is in the graph: normalisation, masks, the network, the head. The file's metadata say
which detector it is (`models/export/onnx_graph.py` writes them).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dataio.schema import UserError
from models.front_ends.config import CONFIGS, CONV_KERNELS, RECEPTIVE_FIELD
from models.front_ends.interface import frame_lengths
from models.front_ends.preprocessing import Preprocessing
from models.heads.interface import FrameOutput, HeadOutput

FORMAT = "antideepfake-onnx-1"
PRECISIONS = ("fp32", "int8")
FILES = ("model.onnx", "model_int8.onnx")  # of a folder, the first that is there
INPUTS = ("waveforms", "lengths")
OUTPUTS = ("logits", "embedding", "frame_logits")  # the last only of heads that have such


class OnnxDetector(nn.Module):
    """As a `Detector` computes: `(B, T)` of any level and lengths to logits and embedding.

    It has no parameters, stays on the CPU and uses as many threads as torch does. int8 computes
    each file by itself, since one scale holds for all that shares a product.
    """

    device = torch.device("cpu")

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.session = _open(Path(path))
        about = self.session.get_modelmeta().custom_metadata_map
        names = tuple(node.name for node in self.session.get_inputs())
        outputs = self.session.get_outputs()
        says = about.get("format") == FORMAT and about.get("precision") in PRECISIONS
        gives = tuple(node.name for node in outputs) in (OUTPUTS, OUTPUTS[:2])
        if not (says and names == INPUTS and gives and isinstance(outputs[1].shape[1], int)):
            raise UserError(
                f"{path} is no detector of `main.py export`: its metadata or outputs are not those"
                f" of {FORMAT}, export it again"
            )
        self.about = {key: _value(text) for key, text in about.items()}
        self.precision = about["precision"]
        self.classifier = SimpleNamespace(embedding_width=outputs[1].shape[1])

    def refuse_other(self, path: Path, model: str, head: str | None) -> None:
        """UserError where the YAML means another model or head than the file's."""
        for sort, wanted in (("model", model), ("head", head)):
            there = self.about.get(sort)
            if wanted is not None and there != wanted:
                remedy = "that model's YAML" if sort == "model" else f"--head {there}"
                raise UserError(f"{path} has the {sort} {there}, not {wanted}: give {remedy}")

    def described(self) -> dict[str, object]:
        """As a `Detector` says; what is exported takes files whole and normalises them."""
        known = CONFIGS.get(str(self.about.get("model")))
        return {
            "front_end": known.family if known else None,
            "preprocessing": asdict(Preprocessing()),
        }

    def forward(
        self, waveforms: Tensor, lengths: Tensor | None = None, *, with_frames: bool = False
    ) -> HeadOutput | FrameOutput:
        if lengths is None:
            lengths = torch.full(waveforms.shape[:1], waveforms.shape[1])
        waveforms, lengths = waveforms.float().cpu(), lengths.cpu().long()
        has_shares = with_frames and len(self.session.get_outputs()) == len(OUTPUTS)
        wanted = OUTPUTS if has_shares else OUTPUTS[:2]
        if self.precision == "int8":
            rows = zip(waveforms, lengths.tolist(), strict=True)
            parts = [self._run(row[None, :n], torch.tensor([n]), wanted) for row, n in rows]
            found = [_side_by_side(part) for part in zip(*parts, strict=True)]
        else:
            found = self._run(waveforms, lengths, wanted)
        if not with_frames:
            return HeadOutput(*found)
        counts = frame_lengths(lengths.clamp_min(RECEPTIVE_FIELD), CONV_KERNELS)
        return FrameOutput(*found[:2], found[2] if has_shares else None, counts)

    def _run(self, waveforms: Tensor, lengths: Tensor, wanted: tuple[str, ...]) -> list[Tensor]:
        missing = max(RECEPTIVE_FIELD - waveforms.shape[1], 0)
        feeds = (F.pad(waveforms, (0, missing)).contiguous().numpy(), lengths.numpy())
        found = self.session.run(list(wanted), dict(zip(INPUTS, feeds, strict=True)))
        return [torch.from_numpy(np.ascontiguousarray(array)) for array in found]


def _side_by_side(parts: tuple[Tensor, ...]) -> Tensor:
    """Results of one file each, `(1, D)` or `(1, F, 2)` of different F, as one padded batch."""
    return torch.nn.utils.rnn.pad_sequence([part[0] for part in parts], batch_first=True)


def _open(path: Path):
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise UserError(
            "ssl_engine onnx needs the package onnxruntime: bash install.sh --with onnx"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors, which are raised as well
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base of their own
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"cannot read the ONNX file {path} ({reason}): export it again") from error


def _value(text: str) -> object:
    """Metadata are texts; those that are JSON are read as such."""
    try:
        return json.loads(text)
    except ValueError:
        return text
