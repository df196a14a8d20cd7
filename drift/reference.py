"""The reference: everything a later comparison needs, in one versioned file without pickle.

Its rows are dealt in two by a seeded draw (by whole groups, where groups are given):

- the *scale part* (a third, at most 2,000 rows) fits what is fixed once: mean and deviation of
  each dimension, quantile bins, PCA, kernel bandwidth;
- the *compared part* (the rest) is what incoming utterances are held against.

Why not fit the scale on the very rows that are compared? Because rows look closer to their own
mean, deviation and PCA than new rows of the same distribution do, and a relabelling test notices:
with 50 rows of 1,024 dimensions the Frechet distance in their own components raises an alarm at
every same-distribution comparison (tests/drift/test_false_alarms.py measures it). With
the scale fitted elsewhere, compared and incoming rows are exchangeable when nothing has changed,
so the test in `drift.null` is exact for all sizes, while bandwidth, bins and PCA stay those of the
reference.

The 5 % hold over references and incoming sets together. One reference met again and again keeps
its own luck: with M near or above N its comparisons alarm together or stay quiet together, so a
monitor wants a reference several times the size of what it compares.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from dataio.array_files import UNREADABLE, ArrayArchive, open_arrays
from dataio.checked import (
    ANYTHING,
    META,
    NOTHING,
    NUMBER_OR_NAN,
    TEXT,
    WHOLE,
    check,
    parse_json,
)
from dataio.schema import UserError
from dataio.whole_files import whole_file
from drift import __version__
from drift.columns import SIGNAL_COLUMNS
from drift.embeddings import EmbeddingSet, embedding_set
from drift.null import LEVELS, MINIMUM_ROWS
from drift.repeats import copies, repeats

FORMAT, FORMAT_VERSION = "antideepfake-drift-reference", 1
SCALE_SHARE, SCALE_ROWS_MAX = 1 / 3, 2_000
BINS = 32
COMPONENTS_MAX, ROWS_PER_COMPONENT = 64, 5
_BANDWIDTH_ROWS = 1_000
FARTHEST = 1e6  # deviations: as far as anything can be, with squares that float32 holds
LEAST_OF_USUAL, LEAST_OF_MEAN = 1e-3, 1e-6
HEADER = {  # of the file, as JSON
    "format": TEXT, "version": WHOLE, "toolkit_version": TEXT, "seed": WHOLE,
    "group": (TEXT, NOTHING), "total_rows": (WHOLE, NOTHING), "name": TEXT, "meta": META,
    "columns": [TEXT], "scale_only?": {...: [TEXT]},
    "scale": {
        "bandwidth": NUMBER_OR_NAN, "score_mean": NUMBER_OR_NAN,
        "score_deviation": NUMBER_OR_NAN, "rows": WHOLE,
    },
}  # fmt: skip
FIXED = {"mean": 1, "deviation": 1, "edges": 2, "components": 2, "component_variance": 1}
# What must agree before two files may be compared; a key that neither file has is skipped.
PROVENANCE = ("model", "checkpoint_sha256", "layer", "pooling", "sample_rate")


@dataclass(frozen=True)
class Scale:
    """What is fixed by the scale part; all in reference units after `standardise`.

    `mean`, `deviation` (D,); `edges` (BINS - 1, D) quantiles; `components` (K, D) orthonormal rows;
    `component_variance` (K,); `bandwidth` the median distance between two rows; `score_mean`,
    `score_deviation` of the logit difference (NaN without logits); `rows` it was fitted on.
    """

    mean: np.ndarray
    deviation: np.ndarray
    edges: np.ndarray
    components: np.ndarray
    component_variance: np.ndarray
    bandwidth: float
    score_mean: float
    score_deviation: float
    rows: int

    def standardise(self, embeddings: np.ndarray) -> np.ndarray:
        """(N, D) float32 in deviations from the reference's mean, at most `FARTHEST` of them."""
        rows = (embeddings - self.mean) / self.deviation
        return np.clip(rows, -FARTHEST, FARTHEST, out=rows)

    def standardise_score(self, score: np.ndarray) -> np.ndarray:
        return (score - self.score_mean) / self.score_deviation


def fit_scale(sample: EmbeddingSet) -> Scale:
    """The scale of a sample; a dimension of almost no spread takes the unit of the others."""
    mean = sample.embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = units_of(sample.embeddings, mean)
    rows = (sample.embeddings - mean) / deviation
    components, variance = _principal_components(rows)
    score = sample.score
    score_deviation = np.nan if score is None else float(score.std(ddof=1))
    return Scale(
        mean=mean,
        deviation=deviation,
        edges=np.quantile(rows, np.arange(1, BINS) / BINS, axis=0).astype(np.float32),
        components=components,
        component_variance=variance,
        bandwidth=_median_distance(rows[:_BANDWIDTH_ROWS]),
        score_mean=np.nan if score is None else float(score.mean()),
        score_deviation=score_deviation if score_deviation != 0 else 1.0,
        rows=len(rows),
    )


def units_of(embeddings: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(D,) float32 deviations of (N, D); too small a one is the median of the others, or 1.

    A thousandth of what dimensions usually have, or what float32 cannot tell from its mean, is a
    dead dimension's noise: in its own unit one that wakes up would outweigh a thousand others.
    """
    deviation = embeddings.std(axis=0, ddof=1, dtype=np.float64).astype(np.float32)
    alive = deviation > LEAST_OF_MEAN * np.abs(mean)
    usual = float(np.median(deviation[alive])) if alive.any() else 0.0
    alive &= deviation >= LEAST_OF_USUAL * usual
    return np.where(alive, deviation, np.float32(usual or 1))


def _principal_components(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count, dimensions = rows.shape
    kept = max(1, min(COMPONENTS_MAX, dimensions, count // ROWS_PER_COMPONENT))
    if dimensions == 0:
        return np.empty((0, 0), np.float32), np.empty(0, np.float32)
    _, singular, directions = np.linalg.svd(rows, full_matrices=False)
    directions = directions[:kept]
    # The sign of a singular vector is arbitrary: the largest entry positive, on every machine.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    return directions * np.sign(largest), (singular[:kept] ** 2 / (count - 1)).astype(np.float32)


def _median_distance(rows: np.ndarray) -> float:
    from scipy.spatial.distance import pdist

    if rows.shape[1] == 0:
        return float("nan")
    return float(np.median(pdist(rows))) or 1.0


@dataclass(frozen=True)
class NullTable:
    """What reference-against-reference draws show: `quantiles` (sizes, distances, LEVELS).

    Entry [i, j] is the null of distance `names[j]` when `sizes[i][1]` reference rows are held
    against `sizes[i][0]` others: the drift a window of that size shows when nothing has changed.
    """

    sizes: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    names: np.ndarray = field(default_factory=lambda: np.empty(0, "<U1"))
    quantiles: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 4)))


@dataclass(frozen=True)
class Reference:
    """A fitted reference: `sample` is the compared part, `scale` comes from the other rows.

    `scale_only` maps a column to its values that no compared row has: they are not new, and
    nothing is left to hold them against.
    """

    sample: EmbeddingSet
    scale: Scale
    seed: int
    group: str | None = None
    null: NullTable = field(default_factory=NullTable)
    scale_only: dict[str, list[str]] = field(default_factory=dict)

    @property
    def groups(self) -> np.ndarray | None:
        """(n,) group of each compared row, or None when rows are taken as independent."""
        return None if self.group is None else self.sample.column(self.group)

    @cached_property
    def coordinates(self) -> np.ndarray:
        """(n, D) standardised compared rows."""
        return self.scale.standardise(self.sample.embeddings)

    def check(self, incoming: EmbeddingSet) -> list[str]:
        """Refuse embeddings that are not comparable; returns notes on what differs harmlessly."""
        if len(incoming):  # without rows, a file need not know its dimensions
            self._check_dimensions(incoming)
        for key in PROVENANCE:
            ours, theirs = self.sample.meta.get(key), incoming.meta.get(key)
            if ours != theirs:
                raise UserError(
                    f"{incoming.name} was made with {key} {theirs!r} and the reference with "
                    f"{ours!r}: fit a reference on embeddings of the same checkpoint"
                )
        grouped = self.group is not None
        notes = repeats(self.sample, incoming, grouped=grouped) if len(incoming) else []
        if not any(key in self.sample.meta for key in PROVENANCE):
            notes.append("neither side says which checkpoint made it: nothing shows that it is one")
        for key in ("engine", "precision"):
            ours, theirs = self.sample.meta.get(key), incoming.meta.get(key)
            if ours != theirs:
                notes.append(f"{key} differs: reference {ours}, incoming {theirs}")
        return notes

    def _check_dimensions(self, incoming: EmbeddingSet) -> None:
        if incoming.dimensions == self.sample.dimensions:
            return
        for side in (incoming, self.sample):
            if side.dimensions == 0:
                raise UserError(
                    f"{side.name} holds scores only and the other side embeddings: give both "
                    "as embeddings or both as score files"
                )
        raise UserError(
            f"{incoming.name} has {incoming.dimensions} dimensions and the reference "
            f"{self.sample.dimensions}: both must come from one model"
        )


def fit_reference(sample: EmbeddingSet, *, seed: int = 0, group: str | None = None) -> Reference:
    """Deal the sample in two and fit the scale; `group` names a column whose blocks stay whole."""
    rows = len(sample)
    if group is None and sample.dimensions:
        copies(sample)
    groups = np.arange(rows) if group is None else sample.column(group)
    units, unit_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    target = min(SCALE_SHARE * rows, SCALE_ROWS_MAX)
    order = np.random.default_rng([seed, 1]).permutation(len(units))
    before = np.cumsum(sizes[order]) - sizes[order]
    in_scale = np.isin(unit_of_row, order[before < target])
    scale_rows, compared_rows = np.flatnonzero(in_scale), np.flatnonzero(~in_scale)
    if len(compared_rows) < MINIMUM_ROWS or len(scale_rows) < 2:
        what = f"{len(units)} groups of {group}" if group else f"{rows} rows"
        raise UserError(
            f"{sample.name} leaves {len(compared_rows)} rows to compare with after a third of "
            f"{what} fixed the scale: give at least {MINIMUM_ROWS * 3 // 2} rows in several groups"
        )
    # Any subset of shuffled rows is a random one: subsets are later taken from the front.
    shuffled = np.random.default_rng([seed, 2]).permutation(scale_rows)
    scale = fit_scale(sample.take(shuffled))
    return Reference(
        sample=sample.take(compared_rows),
        scale=scale,
        seed=seed,
        group=group,
        scale_only={
            name: sorted(set(cells[scale_rows].tolist()) - set(cells[compared_rows].tolist()))
            for name, cells in sample.columns.items()
            if name not in SIGNAL_COLUMNS
        },
    )


def save_reference(reference: Reference, path: str | Path) -> None:
    """Write the reference, whole or not at all."""
    with whole_file(path, binary=True) as stream:
        np.savez(stream, **arrays_of(reference))


def arrays_of(reference: Reference) -> dict[str, np.ndarray]:
    """What the file holds, by the arrays' names."""
    sample, scale = reference.sample, reference.scale
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "toolkit_version": __version__,
        "seed": reference.seed,
        "group": reference.group,
        "total_rows": sample.total_rows,
        "name": sample.name,
        "meta": sample.meta,
        "columns": sorted(sample.columns),
        "scale_only": reference.scale_only,
        "scale": {
            key: getattr(scale, key)
            for key in ("bandwidth", "score_mean", "score_deviation", "rows")
        },
    }
    arrays = {
        "header": np.array(json.dumps(header)),
        "ids": sample.ids,
        "embeddings": sample.embeddings,
        "null_sizes": reference.null.sizes,
        "null_names": reference.null.names,
        "null_quantiles": reference.null.quantiles,
    }
    for key in FIXED:
        arrays[f"scale_{key}"] = getattr(scale, key)
    for key in ("logits", "labels"):
        if getattr(sample, key) is not None:
            arrays[key] = getattr(sample, key)
    for name, values in sample.columns.items():
        arrays[f"column_{name}"] = values
    return arrays


def load_reference(path: str | Path) -> Reference:
    """Read what `save_reference` wrote; other versions and other files are refused by name."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist: make it with python -m drift fit")
    try:
        with open_arrays(path) as archive:
            header = parse_json(str(archive.read("header")), {...: ANYTHING})
            form = header.get("format"), header.get("version")
            if form == (FORMAT, FORMAT_VERSION):
                return _rebuild(header, archive)
    except UNREADABLE as error:
        raise UserError(
            f"{path} is not a drift reference, or damaged ({error}): make one with "
            "python -m drift fit"
        ) from error
    raise UserError(
        f"{path} is {form[0]!r} version {form[1]!r}, this toolkit "
        f"reads {FORMAT!r} version {FORMAT_VERSION}: fit the reference again"
    )


def _rebuild(header: dict, archive: ArrayArchive) -> Reference:
    check(header, HEADER)
    logits, labels = (archive.read(k) if k in archive else None for k in ("logits", "labels"))
    sample = embedding_set(
        archive.read("embeddings"),
        ids=archive.read("ids"),
        logits=logits,
        labels=labels,
        meta=header["meta"],
        columns={name: archive.read(f"column_{name}").astype(str) for name in header["columns"]},
        total_rows=header["total_rows"],
        name=header["name"],
    )
    if header["group"] is not None:
        sample.column(header["group"])
    fixed = {key: _finite(archive, f"scale_{key}", rank) for key, rank in FIXED.items()}
    for key, values in fixed.items():
        if key != "component_variance" and values.shape[-1:] != (sample.dimensions,):
            raise ValueError(f"its 'scale_{key}' has the shape {values.shape}")
    if not (fixed["deviation"] > 0).all():
        raise ValueError("its 'scale_deviation' is not above 0")
    null = NullTable(
        archive.read("null_sizes").astype(np.int64),
        archive.read("null_names").astype(str),
        _finite(archive, "null_quantiles", 3),
    )
    shapes = null.sizes.shape, null.names.shape, null.quantiles.shape
    sizes, names, levels = null.quantiles.shape
    if shapes[:2] != ((sizes, 2), (names,)) or levels != len(LEVELS):
        raise ValueError(f"its null table has the shapes {shapes}")
    return Reference(
        sample=sample,
        scale=Scale(**fixed, **header["scale"]),
        seed=header["seed"],
        group=header["group"],
        null=null,
        scale_only=header.get("scale_only", {}),
    )


def _finite(archive: ArrayArchive, name: str, rank: int) -> np.ndarray:
    values = archive.read(name)
    if values.dtype.kind != "f" or values.ndim != rank or not np.isfinite(values).all():
        raise ValueError(f"its {name!r} does not hold finite numbers in {rank} dimensions")
    return values
