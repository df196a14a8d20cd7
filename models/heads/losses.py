"""Losses of logits `(B, 2)` [fake, real] and labels `(B,)`, 1 real.

| function | source |
|---|---|
| `cross_entropy` | with a weight for each class and label smoothing |
| `oc_softmax` | Zhang, Jiang, Duan, SPL 2021; for a head with `last: cosine` |
| `grpo`, `grpo_s` | Wang, Ge, Yamagishi, INTERSPEECH 2026: rewards for drawn labels |

Each gives a loss for each file, `(B,)`: the average belongs to the whole optimiser step. A YAML's
`loss: {name: ...}` names the first two (`LOSSES`); training has no place yet for the frozen copies
that the last row compares with.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dataio.schema import FAKE, REAL, UserError

STD_FLOOR = 1e-5  # added to the deviation of the rewards


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`(B,)`; `class_weights` as [fake, real]."""
    weight = None if class_weights is None else logits.new_tensor(class_weights)
    return F.cross_entropy(
        logits, labels, weight=weight, label_smoothing=label_smoothing, reduction="none"
    )


def oc_softmax(
    logits: Tensor,
    labels: Tensor,
    *,
    real_margin: float = 0.9,
    fake_margin: float = 0.2,
    alpha: float = 20.0,
) -> Tensor:
    """`(B,)`: softplus(alpha (m - c)) for real files, softplus(alpha (c - m)) for fake ones."""
    c = logits[:, REAL] - logits[:, FAKE]
    beyond = torch.where(labels == REAL, real_margin - c, c - fake_margin)
    return F.softplus(alpha * beyond)


LOSSES = {"cross_entropy": cross_entropy, "oc_softmax": oc_softmax}


def build_loss(spec: Mapping[str, object], *, last: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss `(logits, labels) -> (B,)` of a YAML's `loss`, for a head with that `last` layer.

    What it says of frames is `models.heads.frame_loss`. UserError for a name or option that is not
    known, a value that does not fit, and a head whose last layer belongs to another loss.
    """
    options = {key: value for key, value in spec.items() if key not in ("frames", "resolution")}
    name = options.pop("name", "cross_entropy")
    if name not in LOSSES:
        raise UserError(f"unknown loss {name!r}: choose one of {', '.join(LOSSES)}")
    known = list(inspect.signature(LOSSES[name]).parameters)[2:]
    for option, value in options.items():
        if option not in known:
            raise UserError(f"unknown option {option!r} of loss {name}: choose {', '.join(known)}")
        _refuse_value(name, option, value)
    if (name == "oc_softmax") != (last == "cosine"):
        raise UserError(
            f"loss {name} does not go with a head whose last layer is {last}: oc_softmax needs"
            ' --head "{last: cosine}", and cosine needs oc_softmax'
        )
    return functools.partial(LOSSES[name], **options)


def _refuse_value(name: str, option: str, value: object) -> None:
    pair = option == "class_weights"
    if pair and value is None:
        return
    numbers = list(value) if pair and isinstance(value, (list, tuple)) else [value]
    sound = all(isinstance(n, (int, float)) and not isinstance(n, bool) and n >= 0 for n in numbers)
    if not sound or len(numbers) != 1 + pair:
        wanted = "two numbers, [fake, real]" if pair else "a number from 0 up"
        raise UserError(f"loss {name}: {option} is {value!r}, expected {wanted}")


class Draws(NamedTuple):
    """Labels drawn for each file, and what they are worth: each `(B, M)`.

    `shares` add up to 1 for a file: 1 / M for draws, the probabilities where both labels stand for
    infinitely many draws.
    """

    labels: Tensor
    shares: Tensor
    advantages: Tensor


def draw(
    logits: Tensor, labels: Tensor, *, samples: int | str, generator: torch.Generator | None = None
) -> Draws:
    """`samples` labels a file, with replacement, from the softmax of `logits`; or `exact`."""
    probabilities = logits.detach().softmax(1)
    if samples == "exact":
        drawn = torch.tensor([FAKE, REAL], device=logits.device).expand(len(logits), 2)
        return valued(drawn, probabilities, labels, correction=1.0)
    drawn = probabilities.multinomial(samples, replacement=True, generator=generator)
    shares = torch.full_like(drawn, 1 / samples, dtype=logits.dtype)
    return valued(drawn, shares, labels, correction=drawn.numel() / max(drawn.numel() - 1, 1))


def valued(drawn: Tensor, shares: Tensor, labels: Tensor, *, correction: float) -> Draws:
    """Rewards (1 where the label is right, else 0), standardised over the whole batch.

    `correction` makes the variance of finitely many draws unbiased.
    """
    rewards = (drawn == labels[:, None]).to(shares.dtype)
    mean = (shares * rewards).sum() / len(labels)
    variance = (shares * (rewards - mean).square()).sum() / len(labels)
    return Draws(drawn, shares, (rewards - mean) / ((variance * correction).sqrt() + STD_FLOOR))


def grpo_s(logits: Tensor, reference: Tensor, draws: Draws, *, beta: float) -> Tensor:
    """`(B,)`: minus the mean of exp(l - sg(l)) A - beta KL over the draws: a policy gradient."""
    chosen = _chosen(logits, draws)
    gain = (chosen - chosen.detach()).exp() * draws.advantages
    return _minus_mean(gain - beta * _divergence(chosen, _chosen(reference, draws)), draws)


def grpo(
    logits: Tensor, reference: Tensor, draws: Draws, *, beta: float, old: Tensor, epsilon: float
) -> Tensor:
    """`(B,)`: minus the mean of min(rho A, clip(rho, 1 - epsilon, 1 + epsilon) A) - beta KL.

    rho is the policy's probability of a drawn label over that of `old`, the policy of some steps
    ago.
    """
    chosen = _chosen(logits, draws)
    ratio = (chosen - _chosen(old, draws)).exp()
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
    gain = torch.minimum(ratio * draws.advantages, clipped * draws.advantages)
    return _minus_mean(gain - beta * _divergence(chosen, _chosen(reference, draws)), draws)


def _chosen(logits: Tensor, draws: Draws) -> Tensor:
    """Log-probabilities `(B, M)` of the drawn labels."""
    return F.log_softmax(logits, 1).gather(1, draws.labels)


def _divergence(chosen: Tensor, reference: Tensor) -> Tensor:
    """The non-negative estimate of KL at the drawn labels: e^d - d - 1, d = l_ref - l."""
    difference = reference - chosen
    return difference.exp() - difference - 1


def _minus_mean(objective: Tensor, draws: Draws) -> Tensor:
    return -(draws.shares * objective).sum(1)
