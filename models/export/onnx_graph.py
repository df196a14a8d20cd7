"""A detector as one ONNX graph: waveforms and lengths in, logits, embedding, frame logits out.

| name | shape | what |
|---|---|---|
| `waveforms` | `(B, T)` float32 | 16 kHz, any level; T from 400 on, zeros behind a shorter file |
| `lengths` | `(B,)` int64 | samples of each file |
| `logits` | `(B, 2)` | `[fake, real]` |
| `embedding` | `(B, D)` | what the last layer sees |
| `frame_logits` | `(B, F, 2)` | each frame's share of the logits, 0 in padding |

The mean of a file's own frame logits is its logits; only a head that is linear in the mean over
time has them. A frame is 20 ms.
A file's outputs do not depend on what shares its batch. Opset 18: ONNX Runtime from 1.14 on.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from dataio.schema import UserError
from models.detector import Detector
from models.front_ends.config import RECEPTIVE_FIELD
from models.front_ends.kernels import normalise_waveforms, valid_mask
from models.onnx_detector import FORMAT, INPUTS, OUTPUTS

OPSET = 18
EXTERNAL_ABOVE = 1_900_000_000  # bytes of weights; a file ends at 2 GB
NO_LIMIT = 1 << 40  # of what is folded: transposed weights are computed now, not at each start


class Graph(nn.Module):
    """`Detector.forward` without what depends on values: masks always, lengths as tensors."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        head = self.detector.classifier
        waveforms = normalise_waveforms(waveforms, lengths)
        lengths = lengths.clamp_min(RECEPTIVE_FIELD)
        layers = [] if head.reads_layers else None
        frames = self.detector.m_ssl(waveforms, lengths, layers)
        counts = self.detector.frame_lengths(lengths)
        found = head(layers or [frames], counts)
        shares = head.frame_logits(layers or [frames], counts)
        if shares is None:
            return tuple(found)
        padding = ~valid_mask(counts, frames.shape[1])
        return (*found, shares.masked_fill(padding[:, :, None], 0.0))


def write(path: Path, detector: Detector, metadata: Mapping[str, object]) -> None:
    """The graph with its `metadata`, weights beside it where a file cannot hold them.

    UserError for a head whose answer is computed file by file, and where packages are missing.
    """
    program = _traced(Graph(detector.eval()))
    model = program.model
    from onnxscript import optimizer

    optimizer.optimize(
        model,
        onnx_shape_inference=False,
        input_size_limit=NO_LIMIT,
        output_size_limit=NO_LIMIT,
    )
    model.metadata_props.update(texts({"format": FORMAT, "precision": "fp32", **metadata}))
    for node in model.graph:  # where in whose checkout it was traced is nobody's business
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
    size = sum(p.numel() * p.element_size() for p in detector.parameters())
    program.save(path, external_data=size > EXTERNAL_ABOVE)


def texts(metadata: Mapping[str, object]) -> dict[str, str]:
    """ONNX metadata are texts: what is none is written as JSON."""
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}


def _traced(graph: Graph):
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            f"export --onnx needs the package {error.name}: bash install.sh --with onnx"
        ) from error
    example = torch.zeros(2, 8000), torch.tensor([8000, 7000])
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    samples = torch.export.Dim("samples", min=RECEPTIVE_FIELD, max=1 << 30)
    with torch.no_grad():
        outputs = OUTPUTS[: len(graph(*example))]  # a head may have no shares
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.onnx.export(
                graph,
                example,
                dynamo=True,
                verbose=False,
                optimize=False,
                opset_version=OPSET,
                input_names=list(INPUTS),
                output_names=list(outputs),
                dynamic_shapes=({0: batch, 1: samples}, {0: batch}),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        name = type(graph.detector.classifier).__name__
        raise UserError(
            f"the head {name} cannot be written as ONNX, its steps depend on the files of a batch:"
            " export without --onnx"
        ) from error
