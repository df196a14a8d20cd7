"""An exported graph with its matrix products in int8, except of the layers that this hurts.

Weights are int8, one scale a column; activations uint8, their scale found anew in each product
(dynamic quantisation). Where all layers together move a logit of generated sounds by more than is
allowed, the convolutions and the blocks are tried apart, and the layers of those that do so one
after another, each alone in int8: a layer that alone moves one by more than half of what is allowed
stays float, and while the others together do by more than all of it, the worst goes back as well.
Convolutions were exported as products, so they take part; attention weights and the head do not.
"""

from __future__ import annotations

import logging
import re
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataio.schema import UserError
from models.export.onnx_graph import EXTERNAL_ABOVE, texts
from models.export.sounds import selftest_sounds, sound
from models.onnx_detector import OnnxDetector

ALLOWED_SHARE = 0.02  # of the largest logit of the probes, which moving by is harmless
MARGIN = 2.0  # the stated bound against the largest change seen on the probes
PROBE_SECONDS = (1.0, 1.5, 2.5, 4.0)
TRIED_ON = 3  # of the sounds, for each layer alone
ROUNDS = 5  # of the timing


@dataclass(frozen=True)
class Int8Report:
    """What int8 changes: of a logit on the probes in all, `bound` is stated of it; by layer alone
    (`alone`, of those that were tried), those that stay float (`kept`); and how many times as fast
    as the float32 graph it is.
    """

    change: float
    bound: float
    alone: dict[str, float]
    kept: tuple[str, ...]
    speed: float


def probes() -> list[np.ndarray]:
    """Generated waveforms `(T,)`: the self-test's and more."""
    more = [sound(seconds, seed) for seed, seconds in enumerate(PROBE_SECONDS, start=100)]
    return [*selftest_sounds(), *more]


def write(path: Path, float_path: Path, sounds: Sequence[np.ndarray] | None = None) -> Int8Report:
    """Write `path` from the float32 graph; `sounds` `(T,)` each decide which layers stay float.

    UserError where no layer can be int8.
    """
    sounds = probes() if sounds is None else sounds
    reference = _logits(float_path, sounds)
    allowed = ALLOWED_SHARE * float(np.abs(reference).max())
    layers = layers_of(float_path)

    def change(names: Sequence[str], most: int | None = None) -> float:
        _quantise(path, float_path, [node for name in names for node in layers[name]])
        return float(np.abs(_logits(path, sounds[:most]) - reference[:most]).max())

    alone = {}
    for family in families(layers) if change(list(layers)) > allowed else []:
        if change(family, TRIED_ON) > allowed:
            alone |= {name: change([name], TRIED_ON) for name in family}
    in_int8 = sorted(
        (name for name in layers if alone.get(name, 0.0) <= allowed / 2),
        key=lambda name: alone.get(name, 0.0),
    )
    while in_int8 and (together := change(in_int8)) > allowed:
        in_int8.pop()
    if not in_int8:
        path.unlink(missing_ok=True)
        raise UserError("no layer of this detector can be int8 without harm: export fp32 alone")
    bound = MARGIN * together
    kept = tuple(name for name in layers if name not in in_int8)
    _state(path, {"precision": "int8", "logit_bound": bound, "float_layers": list(kept)})
    return Int8Report(together, bound, alone, kept, speed_of(path, float_path, sounds))


def layers_of(path: Path) -> dict[str, list[str]]:
    """The names of the products with weights, by the layer they belong to, in order."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    floats = onnx.TensorProto.FLOAT
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type == floats}
    found: dict[str, list[str]] = {}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            scopes = {prop.key: prop.value for prop in node.metadata_props}
            found.setdefault(_layer(scopes.get("pkg.torch.onnx.name_scopes", "")), []).append(
                node.name
            )
    return found


def families(layers: Iterable[str]) -> list[list[str]]:
    """The convolutions, and the rest."""
    names = list(layers)
    first = [name for name in names if name.startswith("convolution")]
    return [first, [name for name in names if name not in first]]


def _layer(scopes: str) -> str:
    """`block 3`, `convolution 1` or `other` of the module path that the exporter notes."""
    for pattern, name in (
        (r"conv_layers\.(\d+)", "convolution"),
        (r"encoder\.layers\.(\d+)", "block"),
    ):
        if match := re.search(pattern, scopes):
            return f"{name} {int(match[1]) + 1}"
    return "other"


def _quantise(path: Path, float_path: Path, nodes: list[str]) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().addFilter(_silent)  # it recommends a pre-processing that changes nothing
    try:
        quantize_dynamic(
            float_path,
            path,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=nodes,
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=_is_large(float_path),
        )
    finally:
        logging.getLogger().removeFilter(_silent)


def _silent(record: logging.LogRecord) -> bool:
    return "pre-process" not in record.getMessage()


def _is_large(path: Path) -> bool:
    beside = path.with_name(f"{path.name}.data")
    return beside.exists() and beside.stat().st_size > EXTERNAL_ABOVE


def _logits(path: Path, sounds: Sequence[np.ndarray]) -> np.ndarray:
    """`(N, 2)`, each file by itself."""
    import torch

    detector = OnnxDetector(path)
    return np.stack([detector(torch.from_numpy(s)[None]).logits[0].numpy() for s in sounds])


def _state(path: Path, metadata: dict) -> None:
    """Change what the file says of itself."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    kept = {prop.key: prop.value for prop in model.metadata_props}
    onnx.helper.set_model_props(model, kept | texts(metadata))
    onnx.save(model, path)


def speed_of(path: Path, float_path: Path, sounds: Sequence[np.ndarray]) -> float:
    """How many times as fast as the float32 graph, the median of paired rounds."""
    import torch

    batch = [torch.from_numpy(waveform)[None] for waveform in sounds]
    detectors = [OnnxDetector(float_path), OnnxDetector(path)]
    ratios = []
    for number in range(ROUNDS + 1):
        seconds = [0.0, 0.0]
        for which in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            for waveform in batch:
                detectors[which](waveform)
            seconds[which] = time.perf_counter() - start
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios[1:])  # the first round warms up


def described(report: Int8Report) -> str:
    """The paragraph of the card."""
    worst = sorted(report.alone, key=report.alone.__getitem__, reverse=True)[:3]
    tried = ", ".join(f"{name} {report.alone[name]:.1e}" for name in worst)
    tried = f" Layers tried alone, the worst: {tried}." if worst else ""
    kept = f" These stay float: {', '.join(report.kept)}." if report.kept else ""
    return (
        "## int8\n\n"
        f"Matrix products in int8 move a logit of generated sounds by at most {report.change:.1e};"
        f" the self-test allows {report.bound:.1e}.{tried}{kept}"
        f" Where it was exported it ran {report.speed:.1f} times as fast as in float32."
        " On processors without VNNI or its like, int8 gains less and may lose more."
    )
