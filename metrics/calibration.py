"""Scores to log likelihood ratios: an affine map by logistic regression, or isotonic (PAV).

A log likelihood ratio (natural log, real over fake) states the evidence alone; with a prior
P(real) it gives a probability. Neither map reads more than scores and labels of a development set.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field

import numpy as np

from dataio.checked import ANYTHING, NOTHING, NUMBER, TEXT, Damaged, check, read_json
from dataio.schema import FAKE, REAL, UserError
from metrics.rates import expit, logit
from metrics.sweep import Sweep, as_sweep, pav_blocks

FORMAT = "antideepfake-calibration-1"
SHAPE = {  # of its JSON, besides the format
    "method": TEXT, "scale?": NUMBER, "offset?": NUMBER, "knots?": [NUMBER], "values?": [NUMBER],
    "training_prior?": NUMBER, "checkpoint_sha256?": (TEXT, NOTHING), "meta?": {...: ANYTHING},
}  # fmt: skip
RIDGE = 1e-6  # on the slope of standardised scores: unfelt, but finite if the classes are separable
NEWTON_STEPS = 100


@dataclass(frozen=True)
class Calibration:
    """A map from s = real_logit - fake_logit to a log likelihood ratio.

    `affine`: scale * s + offset. `isotonic`: linear between `knots` (K,) with `values` (K,),
    constant beyond. `meta` says what it was fitted on; `checkpoint_sha256` is None if unknown.
    """

    method: str
    scale: float = 1.0
    offset: float = 0.0
    knots: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    training_prior: float = 0.5
    checkpoint_sha256: str | None = None
    meta: dict = field(default_factory=dict)

    def log_likelihood_ratio(self, s: np.ndarray) -> np.ndarray:
        """ln p(s | real) / p(s | fake), the shape of `s`."""
        s = np.asarray(s, dtype=np.float64)
        if self.method == "isotonic":
            return np.interp(s, self.knots, self.values)
        return self.scale * s + self.offset

    def probability(self, s: np.ndarray, prior: float) -> np.ndarray:
        """P(real | s) where `prior` = P(real) before listening, in (0, 1)."""
        if not 0 < prior < 1:
            raise ValueError(f"a prior lies strictly between 0 and 1, not {prior}")
        return expit(self.log_likelihood_ratio(s) + logit(prior))


def fit_affine(scores: np.ndarray, labels: np.ndarray, prior: float = 0.5) -> Calibration:
    """Scale and offset that minimise the prior-weighted logistic cost (Cllr at prior 0.5)."""
    weights, offset = fit_logistic(np.asarray(scores)[:, None], labels, prior)
    return Calibration("affine", float(weights[0]), offset, training_prior=prior)


def fit_isotonic(scores, labels=None) -> Calibration:
    """The monotone map of least Cllr, with one imagined file of each class at both ends.

    Without those the outer blocks would hold one class only and claim infinite evidence. They share
    the lowest and the highest score, as ties do: a score has one value.
    """
    points = as_sweep(scores, labels)
    if not points.both_classes:
        raise ValueError("calibration needs both classes")
    imagined = np.concatenate([[0], np.ones(len(points.values), dtype=np.int64)])
    imagined[-1] += 1
    padded = Sweep(points.values, points.real + imagined, points.fake + imagined)
    real, fake = pav_blocks(padded)
    ratio = np.log(real / padded.real[-1]) - np.log(fake / padded.fake[-1])
    # files up to the end of each block -> the scores it begins and ends with
    ends = np.searchsorted(padded.real + padded.fake, np.cumsum(real + fake))
    begins = np.concatenate([[1], ends[:-1] + 1])
    knots = np.column_stack([padded.values[begins - 1], padded.values[ends - 1]]).ravel()
    values = np.repeat(ratio, 2)
    fresh = np.concatenate([[True], np.diff(knots) > 0])
    return Calibration(
        "isotonic", knots=tuple(knots[fresh].tolist()), values=tuple(values[fresh].tolist())
    )


def fit_logistic(
    features: np.ndarray, labels: np.ndarray, prior: float = 0.5
) -> tuple[np.ndarray, float]:
    """Weights (D,) and offset of a log likelihood ratio linear in `features` (N, D).

    Each class weighs as its prior says, whatever its number of files (Brummer and du Preez 2006).
    Newton's method with halved steps; a ridge of 1e-6 keeps separable classes finite.
    """
    labels = np.asarray(labels)
    n_real, n_fake = int((labels == REAL).sum()), int((labels == FAKE).sum())
    if not (n_real and n_fake):
        raise ValueError(f"calibration needs both classes: {n_real} real and {n_fake} fake files")
    features = np.asarray(features, dtype=np.float64)
    if np.abs(features).max() > 1e100:
        raise ValueError("scores beyond 1e100 are no logits: calibration cannot scale them")
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    design = np.column_stack([(features - centre) / spread, np.ones(len(features))])
    share = np.where(labels == REAL, prior / n_real, (1 - prior) / n_fake)
    sign = np.where(labels == REAL, 1.0, -1.0)
    ridge = np.append(np.full(features.shape[1], RIDGE), 0.0)
    log_odds = logit(prior)

    def cost(theta: np.ndarray) -> float:
        margin = sign * (design @ theta + log_odds)
        return float((share * np.logaddexp(0, -margin)).sum() + (ridge * theta**2).sum() / 2)

    theta = np.zeros(design.shape[1])
    for _ in range(NEWTON_STEPS):
        probability = expit(design @ theta + log_odds)
        gradient = design.T @ (share * (probability - (labels == REAL))) + ridge * theta
        curvature = share * probability * (1 - probability)
        hessian = (design * curvature[:, None]).T @ design + np.diag(ridge + 1e-15)
        step = np.linalg.solve(hessian, gradient)
        before, length = cost(theta), 1.0
        while cost(theta - length * step) > before and length > 1e-10:
            length /= 2
        theta = theta - length * step
        if np.abs(length * step).max() < 1e-10 * (1 + np.abs(theta).max()):
            break
    weights = theta[:-1] / spread
    return weights, float(theta[-1] - weights @ centre)


def separable(scores: np.ndarray, labels: np.ndarray) -> bool:
    """Whether one threshold parts the classes: then no slope is too steep for the data."""
    real, fake = scores[labels == REAL], scores[labels == FAKE]
    return bool(len(real) and len(fake) and real.min() > fake.max())


def save_calibration(path: str | os.PathLike, calibration: Calibration) -> None:
    """The calibration as JSON, which appears whole."""
    from dataio.whole_files import whole_file

    with whole_file(path) as stream:
        json.dump({"format": FORMAT, **asdict(calibration)}, stream, indent=1)
        stream.write("\n")


def load_calibration(path: str | os.PathLike) -> Calibration:
    """The calibration in a JSON file; `UserError` if it is none, or its numbers make no map."""
    remedy = "make one with `python evaluation.py calibrate`"
    try:
        content = read_json(path, {...: ANYTHING}, remedy)
    except FileNotFoundError as error:
        raise UserError(f"cannot read the calibration {path}: {error.strerror}") from error
    if content.pop("format", None) != FORMAT:
        raise UserError(f"{path} is not a calibration of this toolkit: {remedy}")
    try:
        check(content, SHAPE)
    except Damaged as error:
        raise UserError(f"{path} is a damaged calibration ({error}): {remedy}") from None
    calibration = Calibration(**content)
    knots, values = np.array(calibration.knots, float), np.array(calibration.values, float)
    sound = calibration.method == "affine"
    if calibration.method == "isotonic":
        rising = (np.diff(knots) > 0).all() and (np.diff(values) >= 0).all()
        sound = len(knots) == len(values) > 0 and bool(rising)
    if not (sound and 0 < calibration.training_prior < 1):
        raise UserError(f"{path} is a damaged calibration (its numbers make no map): {remedy}")
    return calibration
