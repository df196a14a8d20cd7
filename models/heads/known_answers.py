"""Known answers of heads and losses, computed again from the file that states them.

A head's file states how its weights and inputs are drawn from numpy seeds, so that anyone's
implementation can be held against anyone else's:

| key | what |
|---|---|
| `seed`, `state_dict` | names and shapes; tensor i from `default_rng(seed + i)`, see `weights` |
| `cases` | `input` (sizes), `input_seed`, and `output` of the head, rounded |

A file of losses holds logits, draws, labels, losses and gradients (`losses.json`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dataio.schema import SAMPLE_RATE, UserError
from models.front_ends.sinc import FILTERS, band_pass_filters, sinc_frames
from models.heads import losses
from models.heads.aasist import Aasist, WaveformAasist
from models.heads.interface import Head
from models.heads.mhfa import Mhfa
from models.heads.nes2net import Nes2Net
from models.heads.sls import POOL, Sls

Shapes = dict[str, tuple[int, ...]]


class Difference(NamedTuple):
    """The largest difference of one case, relative to the largest number of its answer."""

    case: str
    relative: float


@dataclass(frozen=True)
class Subject:
    """A head known by one of its tensors: how to build it, feed it and read its output."""

    tensor: str
    build: Callable[[Shapes], Head]
    feed: Callable[[dict, np.random.Generator, Shapes], list[Tensor]]
    read: Callable[[Tensor, Tensor], Tensor] = lambda logits, embedding: logits


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def _frames(size: dict, rng: np.random.Generator, shapes: Shapes) -> list[Tensor]:
    width = (shapes.get("LL.weight") or shapes.get("bn.weight"))[-1]
    return [_normal(rng, size["B"], size["T"], width)]


def _blocks(size: dict, rng: np.random.Generator, shapes: Shapes, layers: int = 24) -> list[Tensor]:
    """The 24 blocks' outputs; the head never reads what enters the first."""
    hidden = _normal(rng, layers, size["B"], size["T"], shapes["fc0.weight"][1])
    return [hidden[0], *hidden]


def _layers(size: dict, rng: np.random.Generator, shapes: Shapes) -> list[Tensor]:
    width = shapes["cmp_linear_k.weight"][1]
    return list(_normal(rng, *shapes["weights_k"], size["B"], size["T"], width))


def _filtered(size: dict, rng: np.random.Generator, shapes: Shapes) -> list[Tensor]:
    """Tones in noise, one row after the other, through the sinc filters."""
    seconds = np.arange(size["N"]) / SAMPLE_RATE
    rows = [
        0.3 * np.sin(2 * np.pi * (110 + 37 * row) * seconds) + 0.1 * rng.standard_normal(size["N"])
        for row in range(size["B"])
    ]
    return [sinc_frames(torch.from_numpy(np.float32(rows)), band_pass_filters())]


def _sls(shapes: Shapes) -> Head:
    hidden, inputs = shapes["fc1.weight"]
    width = shapes["fc0.weight"][1]
    return Sls(width, 24, frames=POOL * (inputs // (width // POOL)), hidden=hidden)


def _mhfa(shapes: Shapes) -> Head:
    compressed, width = shapes["cmp_linear_k.weight"]
    heads, embedding = shapes["att_head.weight"][0], shapes["pooling_fc.weight"][0]
    return Mhfa(width, shapes["weights_k"][0] - 1, heads, compressed, embedding)


SUBJECTS = (
    Subject("fc0.weight", _sls, _blocks),
    Subject("weights_k", _mhfa, _layers, lambda logits, embedding: embedding),
    Subject(
        "Build_in_Res2Nets.0.conv1.weight",
        lambda shapes: Nes2Net(shapes["bn.weight"][0], 24),
        _frames,
        lambda logits, embedding: embedding[:, ::32],
    ),
    Subject("LL.weight", lambda shapes: Aasist(shapes["LL.weight"][1], 24), _frames),
    Subject("pos_S", lambda shapes: WaveformAasist(FILTERS, 0), _filtered),
)


def drawn_weight(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """A tensor as the files state it: near 1 or 0 for norms and biases, scaled by fan-in."""
    w = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    if name.endswith("running_var"):
        w = 1 + 0.2 * abs(w)
    elif name.endswith("running_mean"):
        w = 0.1 * w
    elif name.endswith("bias"):
        w = 0.05 * w
    elif len(shape) == 1 and name.endswith("weight"):
        w = 1 + 0.1 * w
    elif len(shape) > 1:
        w = w * 0.7 / math.sqrt(math.prod(shape[1:]))
    return torch.from_numpy(np.asarray(w, np.float32))


def compare(path: Path) -> list[Difference]:
    """Every case of the file computed again; UserError where the file is none of this form."""
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
        return _losses(answer) if "grpo2" in answer else _head(answer)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        raise UserError(
            f"{path} is no known-answer file of a head or of losses ({type(error).__name__}):"
            " models/heads/known_answers.py says what one holds"
        ) from error


def _head(answer: dict) -> list[Difference]:
    names = [name.removeprefix("model.") for name in answer["state_dict"]]
    shapes = dict(zip(names, map(tuple, answer["state_dict"].values()), strict=True))
    subject = next((s for s in SUBJECTS if s.tensor in shapes), None)
    if subject is None:
        raise KeyError("no head has these tensors")
    head = subject.build(shapes).eval()
    state = {n: drawn_weight(n, s, answer["seed"] + i) for i, (n, s) in enumerate(shapes.items())}
    own = head.state_dict()
    last = {name for name in own if name.startswith(f"{head.last}.")}  # a stated pooling has none
    if set(own) - last > set(shapes) or set(shapes) - set(own):
        raise KeyError("tensors are missing or unknown")
    head.load_state_dict({**own, **state})
    differences = []
    for case in answer["cases"]:
        rng = np.random.default_rng(case["input_seed"])
        with torch.no_grad():
            output = subject.read(*head(subject.feed(case["input"], rng, shapes), None))
        name = ", ".join(f"{key} {value}" for key, value in case["input"].items())
        differences.append(_difference(name, output, case["output"]))
    return differences


def _losses(answer: dict) -> list[Difference]:
    as_tensor = lambda rows: torch.tensor(rows, dtype=torch.float64)  # noqa: E731
    config, labels = answer["config"], torch.tensor(answer["labels"])
    reference, old = as_tensor(answer["logits_ref"]), as_tensor(answer["logits_old"])
    drawn = torch.tensor(answer["sampled"])
    shares = torch.full(drawn.shape, 1 / drawn.shape[1], dtype=torch.float64)
    correction = drawn.numel() / (drawn.numel() - 1)
    draws = losses.valued(drawn, shares, labels, correction=correction)
    beta, epsilon = config["beta"], config["epsilon"]
    oc = answer["oc_softmax"]
    center = torch.nn.functional.normalize(as_tensor(oc["weight"]), dim=0)

    def one_class(embeddings: Tensor) -> Tensor:
        c = torch.nn.functional.normalize(embeddings, dim=1) @ center
        logits = torch.cat([-c / 2, c / 2], 1)
        return losses.oc_softmax(logits, torch.tensor(oc["labels"]))

    cases = {
        "grpo2": (lambda x: losses.grpo_s(x, reference, draws, beta=beta), answer["logits"]),
        "grpo3": (
            lambda x: losses.grpo(x, reference, draws, beta=beta, old=old, epsilon=epsilon),
            answer["logits"],
        ),
        "oc_softmax": (one_class, oc["embeddings"]),
    }
    differences = []
    for name, (loss_of, inputs) in cases.items():
        x = as_tensor(inputs).requires_grad_()
        loss = loss_of(x).mean()
        (gradient,) = torch.autograd.grad(loss, x)
        differences.append(_difference(f"{name} loss", loss.detach()[None], [answer[name]["loss"]]))
        differences.append(_difference(f"{name} gradient", gradient, answer[name]["grad"]))
    return differences


def _difference(case: str, output: Tensor, expected: list) -> Difference:
    expected = torch.tensor(expected, dtype=torch.float64)
    if output.shape != expected.shape:
        raise ValueError(f"output {tuple(output.shape)}, expected {tuple(expected.shape)}")
    return Difference(case, float((output - expected).abs().max() / expected.abs().max()))
