"""One evaluation as a dictionary: what the JSON holds, and all that tables and report draw from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from dataio.schema import REAL
from metrics import compare, curves, guards
from metrics.bootstrap import Plan, intervals, paired_intervals
from metrics.groups import group_counts
from metrics.measures import Setting, measure
from metrics.rates import expit, logit
from metrics.slices import slices
from metrics.sweep import Sweep, sweep

PAIRED = ("eer", "roc_auc", "accuracy", "min_dcf")  # figures whose differences are given intervals
SLICED = ("eer", "roc_auc", "fpr", "fnr")


@dataclass
class Data:
    """The files under evaluation: `scores` (N,) larger = real, `labels` (N,) 1 / 0, `ids` (N,)
    and the rows of each subset by name (`all` first). `clusters` (N,) of integer codes, negative
    for a file on its own, or None to reweight single files."""

    ids: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    members: dict[str, np.ndarray]
    clusters: np.ndarray | None = None

    def clusters_of(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.clusters is None else self.clusters[rows]


@dataclass
class Request:
    """What is asked of them: figures by name, at which threshold and costs, which intervals."""

    names: Sequence[str]
    setting: Setting = field(default_factory=Setting)
    plan: Plan | None = None


def sweeps_of(data: Data) -> dict[str, Sweep]:
    """One sweep for each subset; together they sort every score twice."""
    return {
        name: sweep(data.scores[rows], data.labels[rows]) for name, rows in data.members.items()
    }


def subset_rows(data: Data, request: Request, sweeps: dict[str, Sweep]) -> list[dict]:
    """Figures (and intervals, where asked) of every subset, in order."""
    return [
        {
            "subset": name,
            **_figures(points, data, data.members[name], request),
            "notes": _notes(name, points, data, data.members[name], request),
        }
        for name, points in sweeps.items()
    ]


def _figures(points: Sweep, data: Data, rows, request: Request) -> dict:
    real, fake = int(points.real[-1]), int(points.fake[-1])
    found = {
        "files": real + fake,
        "real": real,
        "fake": fake,
        "figures": measure(points, request.names, request.setting),
    }
    clusters = data.clusters_of(rows)
    if clusters is not None:
        found["groups"] = group_counts(data.labels[rows], clusters)
    if request.plan is not None:
        found["intervals"] = intervals(
            data.scores[rows],
            data.labels[rows],
            request.names,
            setting=request.setting,
            plan=request.plan,
            clusters=clusters,
        )
    return found


def _notes(name: str, points: Sweep, data: Data, rows, request: Request, part=False) -> list[str]:
    found = guards.notes(name, points, part=part)
    if request.plan is not None:
        clusters = data.clusters_of(rows)
        groups = group_counts(data.labels[rows], clusters)
        unit = "file" if clusters is None else "group"
        found += guards.group_notes(name, points, groups, unit)
    return found


def averages(rows: list[dict], names: Sequence[str], pooled: dict | None = None) -> dict:
    """`macro`: the plain mean of the rows' figures, each row counting once whatever its size;
    `rows` and `left_out`: of how many rows, by figure, and how many were NaN; `pooled`: the figures
    of these rows' files together.
    """
    macro, counted = {}, {}
    for name in names:
        values = np.array([row["figures"][name] for row in rows], dtype=np.float64)
        values = values[~np.isnan(values)]
        macro[name] = float(values.mean()) if len(values) else float("nan")
        counted[name] = len(values)
    left_out = {name: len(rows) - count for name, count in counted.items()}
    return {"macro": macro, "rows": counted, "left_out": left_out, "pooled": pooled}


def pooled(data: Data, everything: Sweep, names: Sequence[str], setting: Setting) -> dict:
    """Figures of the subsets' files together, each file once; of all files without subsets."""
    inside = np.zeros(len(data.labels), dtype=bool)
    for name, rows in data.members.items():
        inside[rows] |= name != "all" or len(data.members) == 1
    if not inside.all():
        everything = sweep(data.scores[inside], data.labels[inside])
    return measure(everything, names, setting)


def slice_rows(data: Data, request: Request, values: np.ndarray, column: str = "slice") -> dict:
    """The slices by a protocol column's `values` (N,), worst EER first, and their averages."""
    subsets = {name: rows for name, rows in data.members.items() if name != "all"}
    if not subsets:
        subsets = {"all": data.members["all"]}
    asked = Request(SLICED, request.setting, request.plan)
    found = []
    for part in slices(subsets, data.labels, values):
        points = sweep(data.scores[part.rows], data.labels[part.rows])
        figures = _figures(points, data, part.rows, asked)
        origin = {"real_from": part.real_from, "fake_from": part.fake_from}
        name = f"{column} {part.value} of {part.subset}"
        notes = _notes(name, points, data, part.rows, asked, part=True)
        origin |= {"subset": part.subset, "value": part.value}
        found.append({**origin, **figures, "notes": notes})
    found.sort(key=lambda row: -np.nan_to_num(row["figures"]["eer"], nan=-1.0))
    everything = sweep(data.scores, data.labels)
    together = pooled(data, everything, SLICED, request.setting)
    return {"rows": found, "averages": averages(found, SLICED, together)}


def compared(data: Data, other: np.ndarray, request: Request) -> list[dict]:
    """A (the data) against B (`other` (N,) scores of the same files), for every subset.

    Differences A - B with paired intervals (where there is a plan), DeLong's and McNemar's
    p-values, both over the data's clusters if it has any, and Holm's adjustment of each over the
    subsets (`all` is not one of the family).
    """
    rows = [
        {"subset": name, **_paired(data, other, rows, request)}
        for name, rows in data.members.items()
    ]
    family = [row for row in rows if row["subset"] != "all"]
    for test in ("delong", "mcnemar"):
        adjusted = compare.holm([row[test]["p_value"] for row in family])
        for row, p_value in zip(family, adjusted, strict=True):
            row[test]["p_holm"] = p_value
    return rows


def _paired(data: Data, other: np.ndarray, rows, request: Request) -> dict:
    labels, systems = data.labels[rows], (data.scores[rows], other[rows])
    setting, clusters = request.setting, data.clusters_of(rows)
    a, b = (measure(sweep(scores, labels), PAIRED, setting) for scores in systems)
    differences = {
        name: {"a": a[name], "b": b[name], "difference": a[name] - b[name]} for name in PAIRED
    }
    if request.plan is not None:
        found = paired_intervals(
            systems, labels, PAIRED, setting=setting, plan=request.plan, clusters=clusters
        )
        for name, bounds in found.items():
            differences[name]["interval"] = bounds
    right = [(scores >= setting.threshold) == (labels == REAL) for scores in systems]
    return {
        "files": len(labels),
        "differences": differences,
        "delong": compare.delong(*systems, labels, clusters)._asdict(),
        "mcnemar": compare.mcnemar(*right, clusters)._asdict(),
    }


def transferred(sweeps: dict[str, Sweep], setting: Setting) -> list[dict]:
    """FAR, FRR, HTER and actual DCF of every subset at the threshold of another set."""
    rows = []
    for name, points in sweeps.items():
        at = measure(points, ("fpr", "fnr", "hter", "act_dcf"), setting)
        figures = {"far": at["fpr"], "frr": at["fnr"], "hter": at["hter"], "dcf": at["act_dcf"]}
        rows.append({"subset": name, "figures": figures})
    return rows


def drawn(data: Data, points: Sweep, setting: Setting, calibrated: bool) -> dict:
    """Curves of all files together; {} where a class is missing.

    Reliability is that of the probability a detector states, P(real) = 1 / (1 + e^-s); log
    likelihood ratios state none by themselves and are given this set's share of real files.
    """
    if not points.both_classes:
        return {}
    prior = float((data.labels == REAL).mean()) if calibrated else None
    stated = expit(data.scores + (logit(prior) if calibrated else 0.0))
    return {
        "error": curves.error_curve(points),
        "histogram": curves.histogram(data.scores, data.labels),
        "reliability": {"prior": prior, **curves.reliability(stated, data.labels)},
        "cost": curves.cost_curve(points, setting.costs),
    }


def described(setting: Setting) -> dict:
    """The setting, with thresholds both as probability and in units of the scores."""
    return {
        "threshold": {
            "probability": float(expit(setting.threshold)),
            "score": setting.threshold,
        },
        "costs": {**asdict(setting.costs), "threshold": setting.costs.threshold},
    }
