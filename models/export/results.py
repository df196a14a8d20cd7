"""What score files say of a detector, for its card: EER with its interval, by subset.

Nothing else puts a figure on a card, and a file of another checkpoint is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataio.schema import UserError
from dataio.scores import read_scores
from dataio.words import tell
from metrics import results as figures
from metrics.bootstrap import Plan
from metrics.inputs import labelled
from metrics.session import members_of

REPLICATES, SEED = 1000, 0


@dataclass(frozen=True)
class Subset:
    """Counts and EER of one subset, in % with the ends of its 95 % interval."""

    name: str
    real: int
    fake: int
    eer: float
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """One score file: its name, engine and precision, its subsets, `all` first, and its IDs."""

    file: str
    engine: str
    precision: str
    subsets: tuple[Subset, ...]
    ids: frozenset[str]

    @property
    def how(self) -> str:
        return f"{self.engine}, {self.precision}"


def read_results(paths: Iterable[str], checkpoints: Collection[str]) -> list[Measured]:
    """Figures of score files; UserError for one that another checkpoint gave, or without labels."""
    return [_measured(path, checkpoints) for path in paths]


def _measured(path: str, checkpoints: Collection[str]) -> Measured:
    scores = read_scores(path)
    maker = scores.meta.get("checkpoint_sha256")
    origin = scores.meta.get("exported_from")
    if maker is None:
        tell(f"warning: {path} does not say which checkpoint it is of; the card takes your word")
    elif not {maker, *(origin if isinstance(origin, list) else [])} & set(checkpoints):
        raise UserError(
            f"{path} has the scores of another checkpoint ({str(maker)[:12]}...): a card holds"
            " what the detector itself was measured at"
        )
    notes: list[str] = []
    scores = labelled(scores, notes)
    members = members_of(scores, [], notes)
    data = figures.Data(scores.ids, scores.difference, scores.labels, members)
    request = figures.Request(["eer"], plan=Plan(REPLICATES, SEED, 0.95))
    rows = figures.subset_rows(data, request, figures.sweeps_of(data))
    kept = [row for row in rows if row["real"] and row["fake"]]
    if not kept:
        raise UserError(f"{path} holds one class alone: an error rate needs real and fake")
    engine, precision = (scores.meta.get(key, "unknown") for key in ("engine", "precision"))
    subsets = tuple(map(_subset, kept))
    return Measured(Path(path).name, str(engine), str(precision), subsets, frozenset(scores.ids))


def int8_changes(measured: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
    """Pairs of the same files scored in int8 and otherwise."""
    return [
        (other, file)
        for file in measured
        for other in measured
        if file.precision == "int8" != other.precision and file.ids == other.ids
    ]


def _subset(row: dict) -> Subset:
    low, high = row["intervals"]["eer"]
    in_percent = (100 * figure for figure in (row["figures"]["eer"], low, high))
    return Subset(row["subset"], row["real"], row["fake"], *in_percent)
