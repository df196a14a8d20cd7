"""The threshold sweep every ranking metric is a function of.

real (1) is the positive class; larger score = more likely real; `accept` means score >= threshold.
FRR (miss) = P(real score < t), FAR (false alarm) = P(fake score >= t). Equal scores cannot be
separated by a threshold, so the sweep has one step for each distinct score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataio.schema import FAKE, REAL


@dataclass
class Sweep:
    """K distinct scores ascending, and the mass of each class at or below them.

    `values` (K,); `real`, `fake` (K + 1,): cumulated counts (or weights), first entry 0 = the
    point below the minimum, where everything is accepted.
    """

    values: np.ndarray
    real: np.ndarray
    fake: np.ndarray

    @property
    def frr(self) -> np.ndarray:
        """Miss rate (K + 1,) of rejecting everything up to each value; NaN without real."""
        return _share(self.real, self.real[-1])

    @property
    def far(self) -> np.ndarray:
        """False-alarm rate (K + 1,) of accepting everything above each value; NaN without fake."""
        return _share(self.fake[-1] - self.fake, self.fake[-1])

    @property
    def both_classes(self) -> bool:
        return bool(self.real[-1] > 0 and self.fake[-1] > 0)

    def imbalance(self, k: int) -> float:
        """FRR - FAR at point k times the product of the classes: exact where rates would round."""
        all_real, all_fake = self.real[-1], self.fake[-1]
        return self.real[k] * all_fake - (all_fake - self.fake[k]) * all_real

    def corners(self) -> np.ndarray:
        """Indices into the K + 1 points where the ROC may turn.

        Between two of them all scores are of one class, so the ROC is a straight horizontal or
        vertical line: area, minimum cost and convex hull need nothing but the corners.
        """
        # 1: a step of real mass, 2: of fake mass, 3: of both (a tie, never merged), 0: of none
        kind = (np.diff(self.real) > 0) + np.int8(2) * (np.diff(self.fake) > 0)
        if not len(kind):
            return np.zeros(1, dtype=np.int64)
        turn = (kind[1:] != kind[:-1]) | (kind[1:] == 3)
        return np.flatnonzero(np.concatenate([[True], turn, [True]]))


def sweep(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Sweep:
    """Sort once. `scores` (N,), `labels` (N,) of 1 real / 0 fake, `weights` (N,) or None for 1.

    `ValueError` for NaN scores and for labels that are neither class.
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if scores.shape != labels.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} and labels {labels.shape}: expected both (N,)")
    if np.isnan(scores).any():
        raise ValueError(f"NaN score in row {int(np.flatnonzero(np.isnan(scores))[0])}")
    is_real = labels == REAL
    if not (is_real | (labels == FAKE)).all():
        raise ValueError("labels must be 1 (real) or 0 (fake)")
    order = np.argsort(scores)
    ascending, is_real = scores[order], is_real[order]
    last = np.flatnonzero(np.append(ascending[1:] != ascending[:-1], True)[: len(ascending)])
    if weights is None:
        real = np.cumsum(is_real)[last]
        fake = last + 1 - real
    else:
        weights = np.asarray(weights, dtype=np.float64)[order]
        real = np.cumsum(weights * is_real)[last]
        fake = np.cumsum(weights * ~is_real)[last]
    return Sweep(ascending[last], np.append(0, real), np.append(0, fake))


def as_sweep(scores, labels) -> Sweep:
    """A `Sweep` as it is, or the sweep of scores and labels."""
    return scores if isinstance(scores, Sweep) else sweep(scores, labels)


def pav_blocks(points: Sweep) -> tuple[np.ndarray, np.ndarray]:
    """Real and fake mass of the blocks, scores ascending, that pool-adjacent-violators leaves.

    The cumulated blocks are the vertices of the ROC's convex hull.
    """
    from scipy.optimize import isotonic_regression

    corners = points.corners()
    real = np.diff(points.real[corners]).astype(np.float64)
    fake = np.diff(points.fake[corners]).astype(np.float64)
    present = real + fake > 0  # a resampled set may leave a corner without mass
    real, fake = real[present], fake[present]
    starts = isotonic_regression(real / (real + fake), weights=real + fake).blocks[:-1]
    return np.add.reduceat(real, starts), np.add.reduceat(fake, starts)


def _share(part: np.ndarray, total: float) -> np.ndarray:
    return part / total if total > 0 else np.full(len(part), np.nan)
