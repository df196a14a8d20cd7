"""What the report draws, as numbers: each function gives lists that go into the JSON."""

from __future__ import annotations

import math

import numpy as np

from dataio.schema import FAKE, REAL
from metrics import rates
from metrics.costs import Costs, dcf_curve
from metrics.sweep import Sweep

POINTS = 400  # of a drawn curve; all lie on the exact one, the first and last included
BINS = 60  # of a histogram
RELIABILITY_BINS = 15
LISTED = 20  # worst files each way


def probit(share: np.ndarray) -> np.ndarray:
    """Normal deviate of a probability: the axes on which two normals give a straight DET line."""
    from scipy.special import ndtri

    return ndtri(share)


def error_curve(points: Sweep) -> dict[str, list[float]]:
    """FRR and FAR at the ROC's corners, thinned evenly along the DET curve."""
    corners = points.corners()
    frr, far = points.frr[corners], points.far[corners]
    if len(corners) > POINTS:
        deviates = [probit(np.clip(rate, 1e-6, 1 - 1e-6)) for rate in (frr, far)]
        travelled = np.append(0, np.cumsum(sum(np.abs(np.diff(x)) for x in deviates)))
        marks = np.linspace(0, travelled[-1], POINTS)
        chosen = np.unique(np.searchsorted(travelled, marks).clip(max=len(frr) - 1))
        chosen[0], chosen[-1] = 0, len(frr) - 1
        frr, far = frr[chosen], far[chosen]
    return {"frr": frr.tolist(), "far": far.tolist()}


def histogram(scores: np.ndarray, labels: np.ndarray) -> dict[str, list]:
    """Files of each class by score: `edges` (B + 1,), `real`, `fake` (B,) counts.

    The range holds 99.9 % of the files; the few beyond are counted in the outer bins.
    """
    low, high = np.quantile(scores, [0.0005, 0.9995])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    clipped = np.clip(scores, edges[0], edges[-1])
    counts = {
        name: np.histogram(clipped[labels == label], edges)[0].tolist()
        for name, label in (("real", REAL), ("fake", FAKE))
    }
    return {"edges": edges.tolist(), **counts}


def reliability(probability: np.ndarray, labels: np.ndarray) -> dict[str, list]:
    """Stated P(real) against the share of real files, in bins of equal width.

    `stated`: mean of the bin, `observed`: share of real with its 95 % Wilson interval `low`,
    `high`, `files`. Empty bins are left out; `ece` is the mean gap weighted by files.
    """
    which = np.minimum((probability * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    files = np.bincount(which, minlength=RELIABILITY_BINS)
    full = files > 0
    stated = np.bincount(which, probability, RELIABILITY_BINS)[full] / files[full]
    real = np.bincount(which, labels == REAL, RELIABILITY_BINS)[full]
    observed = real / files[full]
    low, high = wilson(real, files[full])
    return {
        "stated": stated.tolist(),
        "observed": observed.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "files": files[full].tolist(),
        "ece": float((np.abs(stated - observed) * files[full]).sum() / files.sum()),
    }


def wilson(successes: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % score interval of a share (Wilson 1927)."""
    z = 1.959963984540054
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def cost_curve(points: Sweep, costs: Costs) -> dict[str, list[float]]:
    """Normalised DCF over the threshold, at evenly chosen scores (accept means score >= it)."""
    cost = dcf_curve(points, costs=costs)[:-1]  # the last point, above all scores, has no value
    chosen = np.unique(np.linspace(0, len(cost) - 1, POINTS).astype(int))
    best = int(np.argmin(cost))
    chosen = np.unique(np.append(chosen, best))
    return {"threshold": points.values[chosen].tolist(), "dcf": cost[chosen].tolist()}


def worst_files(ids: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> dict[str, list]:
    """The real files with the lowest scores and the fake ones with the highest, worst first."""
    found = {}
    for name, label, sign in (("real", REAL, 1), ("fake", FAKE, -1)):
        rows = np.flatnonzero(labels == label)
        few = min(LISTED, len(rows))
        picked = rows[np.argpartition(sign * scores[rows], few - 1)[:few]] if few else rows
        picked = picked[np.argsort(sign * scores[picked], kind="stable")]
        found[name] = [
            {"id": str(ids[i]), "score": float(scores[i]), "p_real": float(rates.expit(scores[i]))}
            for i in picked
        ]
    return found


def finite(value):
    """The same content with NaN and infinities as None, for strict JSON."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
