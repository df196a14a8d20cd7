"""What the signal itself did, beside the drift: duration, loudness, sampling rate, codec.

A distance in embedding space says that something moved; these say whether it may just be the
channel. Each has its own relabelling p-value; they never decide the status.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dataio.schema import UserError, resolve_path
from drift.embeddings import EmbeddingSet
from drift.groups import groups_of, relabel_like_rows
from drift.null import MINIMUM_ROWS, p_value
from drift.reference import Reference

LOUDNESS_FILES = 200
LOUDNESS = "Loudness"
_SILENCE = 1e-5  # RMS floor: -100 dBFS


@dataclass(frozen=True)
class Condition:
    """One property on both sides, in words, with the distance between them and its p.

    `distance` is KS for numbers, total variation for words; both lie in [0, 1]. With groups it is
    that of like groups (`drift.groups`), while the words describe all rows.
    """

    name: str
    reference: str
    incoming: str
    distance: float
    p: float


def with_loudness(sample: EmbeddingSet, data_folder: str, rng: np.random.Generator) -> EmbeddingSet:
    """The sample with RMS level in dBFS of at most 200 files drawn by `rng`; others hold `-`."""
    from dataio.audio import load_waveform
    from dataio.probe import UnreadableAudio

    paths = sample.column("Path")
    chosen = rng.choice(len(sample), min(LOUDNESS_FILES, len(sample)), replace=False)
    cells = np.full(len(sample), "-", dtype="<U12")
    for row in np.sort(chosen):
        try:
            waveform = load_waveform(resolve_path(str(paths[row]), data_folder))
        except UnreadableAudio as error:
            raise UserError(
                f"{error.path} cannot be read ({error.reason}): is --data_folder right?"
            ) from error
        level = np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))
        cells[row] = f"{20 * np.log10(max(level, _SILENCE)):.2f}"
    return replace(sample, columns={**sample.columns, LOUDNESS: cells})


def _known(cells: np.ndarray) -> np.ndarray:
    """(N,) bool; `-` is unknown."""
    return (cells != "-") & (cells != "")


def _numbers(cells: np.ndarray) -> np.ndarray:
    try:
        return cells.astype(np.float64)
    except ValueError as error:
        raise UserError(f"a column of numbers holds a word: {error}") from error


def _ks(values: np.ndarray, is_reference: np.ndarray) -> np.ndarray:
    import torch

    from drift.sweeps import sweep_ranks

    rows = torch.as_tensor(values[:, None], dtype=torch.float32)
    labellings = torch.as_tensor(is_reference, dtype=torch.float32)
    return sweep_ranks(rows, labellings, wanted=frozenset({"ks"}))["ks"][:, 0]


def _total_variation(codes: np.ndarray, is_reference: np.ndarray) -> np.ndarray:
    one_hot = np.eye(codes.max() + 1)[codes]
    first = is_reference.astype(np.float64) @ one_hot
    second = one_hot.sum(axis=0) - first
    share = first / first.sum(axis=1, keepdims=True)
    return 0.5 * np.abs(share - second / second.sum(axis=1, keepdims=True)).sum(axis=1)


def _compare_numbers(name, unit, first, second, relabel) -> Condition:
    known = _known(first), _known(second)
    first, second = _numbers(first[known[0]]), _numbers(second[known[1]])

    def described(values: np.ndarray) -> str:
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        return f"median {middle:.2f} {unit} ({low:.2f} to {high:.2f})"

    if min(len(first), len(second)) < MINIMUM_ROWS:
        return Condition(name, f"{len(first)} known", f"{len(second)} known", np.nan, np.nan)
    ours, theirs, is_reference = relabel(*known)
    described_sides = described(first), described(second)
    if is_reference is None:
        return Condition(name, *described_sides, np.nan, np.nan)
    values = _ks(np.concatenate([first[ours], second[theirs]]), is_reference)
    return Condition(name, *described_sides, float(values[0]), p_value(values))


def _compare_words(name, unit, first, second, relabel) -> Condition:
    def described(cells: np.ndarray) -> str:
        words, counts = np.unique(cells, return_counts=True)
        shares = sorted(zip(-counts / len(cells), words, strict=True))[:4]
        return ", ".join(f"{word}{unit} {-100 * share:.0f} %" for share, word in shares)

    sides = described(first), described(second)
    ours, theirs, is_reference = relabel(np.full(len(first), True), np.full(len(second), True))
    if is_reference is None:
        return Condition(name, *sides, np.nan, np.nan)
    codes = np.unique(np.concatenate([first[ours], second[theirs]]), return_inverse=True)[1]
    values = _total_variation(codes, is_reference)
    return Condition(name, *sides, float(values[0]), p_value(values))


_COMPARED = {
    "Duration": ("duration", "s", _compare_numbers),
    LOUDNESS: ("loudness", "dBFS", _compare_numbers),
    "SampleRate": ("sampling rate", " Hz", _compare_words),
    "AudioEncoding": ("codec", "", _compare_words),
}


def compare_conditions(
    reference: Reference, incoming: EmbeddingSet, *, draws: int, seed: int
) -> list[Condition]:
    """Every condition that both sides know; rows move by the reference's groups."""
    rng = np.random.default_rng([seed, 5])
    ours, theirs = reference.sample.columns, incoming.columns
    groups = groups_of(reference, incoming)

    def relabel(*known: np.ndarray):
        """Like rows of those known on both sides, and their relabellings."""
        sides = [None if g is None else g[k] for g, k in zip(groups, known, strict=True)]
        return relabel_like_rows(*(int(k.sum()) for k in known), *sides, draws=draws, rng=rng)

    return [
        compare(name, unit, ours[column], theirs[column], relabel)
        for column, (name, unit, compare) in _COMPARED.items()
        if column in ours and column in theirs
    ]
