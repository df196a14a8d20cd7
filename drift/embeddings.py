"""A set of utterances as drift compares them: embeddings, logits, labels and words of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from dataio.schema import FAKE, REAL, UNKNOWN, UserError

LARGEST = 1e30  # of an embedding's numbers: beyond, float32 has no room for sums


@dataclass(frozen=True)
class EmbeddingSet:
    """N utterances: `embeddings` (N, D) float32, with what is known of each row.

    `logits` (N, 2) float64 [fake, real] or None; `labels` (N,) 1 real, 0 fake, -1 unknown;
    `columns` are further words of each row, (N,) text; `meta` says which model made the file;
    `total_rows` is what the file held before a subsample.
    """

    ids: np.ndarray
    embeddings: np.ndarray
    logits: np.ndarray | None = None
    labels: np.ndarray | None = None
    meta: dict = field(default_factory=dict)
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    total_rows: int | None = None
    name: str = "embeddings"

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def dimensions(self) -> int:
        return self.embeddings.shape[1]

    @property
    def score(self) -> np.ndarray | None:
        """(N,) real-minus-fake logit difference, or None without logits."""
        return None if self.logits is None else self.logits[:, 1] - self.logits[:, 0]

    @property
    def predicted_real(self) -> np.ndarray | None:
        """(N,) bool: P(real) >= 0.5, that is a difference of at least 0."""
        return None if self.logits is None else self.score >= 0.0

    def take(self, rows: np.ndarray) -> EmbeddingSet:
        """The set of the given rows (indices or mask), in that order."""
        return replace(
            self,
            ids=self.ids[rows],
            embeddings=self.embeddings[rows],
            logits=None if self.logits is None else self.logits[rows],
            labels=None if self.labels is None else self.labels[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
        )

    def column(self, name: str) -> np.ndarray:
        """(N,) text of a column; refused by name when nothing supplies it."""
        if name not in self.columns:
            known = ", ".join(sorted(self.columns)) or "none"
            raise UserError(
                f"{self.name} has no column {name!r} (known: {known}): "
                "give a protocol that has it with --protocol"
            )
        return self.columns[name]


def embedding_set(embeddings: np.ndarray, *, name: str = "embeddings", **known) -> EmbeddingSet:
    """An `EmbeddingSet` from arrays, checked: shapes agree, IDs are unique, numbers are finite."""
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or embeddings.dtype.kind not in "fiu":
        raise UserError(
            f"{name} holds an array of shape {embeddings.shape} and type {embeddings.dtype}: "
            "expected numbers of shape (utterances, dimensions)"
        )
    rows = len(embeddings)
    if known.get("ids") is None:
        known["ids"] = np.array([f"row-{i:07d}" for i in range(rows)])
    for key in ("ids", "logits", "labels"):
        if known.get(key) is not None:
            known[key] = np.asarray(known[key])
            check_length(known[key], rows, f"{key} of {name}")
    for column, values in known.get("columns", {}).items():
        check_length(values, rows, f"column {column!r} of {name}")
    if known["ids"].ndim != 1:
        raise UserError(f"ids of {name} have shape {known['ids'].shape}: expected one a row")
    ids = known["ids"] = known["ids"].astype(str)
    unique, count = np.unique(ids, return_counts=True)
    if len(unique) != rows:
        worst = int(np.argmax(count > 1))
        raise UserError(
            f"{name} has the ID {str(unique[worst])!r} {count[worst]} times: IDs are unique"
        )
    embeddings = np.ascontiguousarray(embeddings, dtype=np.float32)
    if embeddings.size == 0 < rows and known.get("logits") is None:
        raise UserError(f"{name} holds neither embeddings nor scores: give a file with one of them")
    if known.get("logits") is not None:
        known["logits"] = known["logits"].astype(np.float64)
        if known["logits"].shape != (rows, 2):
            raise UserError(f"logits of {name} have shape {known['logits'].shape}: expected (N, 2)")
        refuse_non_finite(known["logits"], ids, f"logits in {name}")
    if known.get("labels") is not None:
        known["labels"] = _checked_labels(known["labels"], ids, name)
    refuse_non_finite(embeddings, ids, f"embedding in {name}")
    return EmbeddingSet(embeddings=embeddings, name=name, **known)


def check_length(values: np.ndarray, rows: int, what: str) -> None:
    entries = np.shape(values)[0] if np.ndim(values) else "no"
    if entries != rows:
        raise UserError(f"{what}: {entries} entries for {rows} embeddings")


def _checked_labels(labels: np.ndarray, ids: np.ndarray, name: str) -> np.ndarray:
    """(N,) int8 of 1 real, 0 fake, -1 unknown; refused by ID where it is anything else."""
    known = np.isin(labels, (REAL, FAKE, UNKNOWN)) & (labels.dtype.kind in "biuf")
    if labels.shape != ids.shape or not known.all():
        row = int(np.argmin(known)) if known.shape == ids.shape else 0
        raise UserError(
            f"the label of ID {str(ids[row])!r} in {name} is {labels[row].tolist()!r}: expected "
            f"{REAL} (real), {FAKE} (fake) or {UNKNOWN} (unknown)"
        )
    return labels.astype(np.int8)


def refuse_non_finite(values: np.ndarray, ids: np.ndarray | None, what: str, start: int = 0):
    """`UserError` naming the first row (N, D) that is not finite; `start` numbers the rows."""
    finite = (np.abs(values) <= LARGEST).all(axis=1)  # false for NaN
    if not finite.all():
        row = start + int(np.argmin(finite))
        who = f"row {row}" if ids is None else f"row {row} (ID {str(ids[row])!r})"
        raise UserError(f"{who} has a non-finite {what}: drop that utterance or score it again")
