"""A reference and many windows of one run under joint relabellings.

The windows of a run share the reference, and overlapping ones share rows, so their distances rise
and fall together; what a rule over them does by chance is read off relabellings of everything at
once. When nothing has changed, every way of laying the rows of the reference and of the whole run
on their places was equally likely. Each arrangement gives the distances of all windows; groups
(`drift.groups`) move whole, also where one reaches over several windows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drift.device import chosen_device
from drift.embeddings import EmbeddingSet
from drift.groups import groups_of
from drift.null import number_blocks
from drift.reference import Reference

_COLUMNS = 4_096  # of a matrix product: labellings times sides


def draw_arrangements(blocks: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws + 1, rows) int32: the row that lies on each place; arrangement 0 is the actual one.

    `blocks` (rows,) numbers rows that move together; blocks trade places with those of their size.
    """
    _, block_of_row, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    places = np.split(np.argsort(block_of_row, kind="stable"), np.cumsum(sizes)[:-1])
    arrangements = np.tile(np.arange(len(blocks), dtype=np.int32), (draws + 1, 1))
    for size in np.unique(sizes):
        alike = np.stack([places[block] for block in np.flatnonzero(sizes == size)])
        order = rng.permuted(np.tile(np.arange(len(alike)), (draws, 1)), axis=1)
        arrangements[1:, alike.ravel()] = alike[order].reshape(draws, -1)
    return arrangements


def values_of_windows(
    names: Sequence[str],
    reference: Reference,
    incoming: EmbeddingSet,
    windows: Sequence[np.ndarray],
    *,
    draws: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """(windows, B + 1) of each of w1, mmd and score, the actual arrangement first.

    `windows` hold row indices of `incoming`; both sides are of like groups already.
    """
    n, m = len(reference.sample), len(incoming)
    ours, theirs = groups_of(reference, incoming)
    blocks = np.arange(n + m) if ours is None else number_blocks(ours, theirs)
    arrangements = draw_arrangements(blocks, draws, np.random.default_rng([seed, 13]))
    places = [n + rows for rows in windows]
    scale, taken = reference.scale, {}
    if "w1" in names or "mmd" in names:
        coordinates = np.concatenate(
            [reference.coordinates, scale.standardise(incoming.embeddings)]
        )
    if "w1" in names:
        taken["w1"] = w1_of_windows(coordinates, arrangements, n, places)
    if "mmd" in names:
        taken["mmd"] = mmd_of_windows(coordinates, arrangements, n, places, scale.bandwidth)
    if "score" in names:
        score = scale.standardise_score(np.concatenate([reference.sample.score, incoming.score]))
        score = score.astype(np.float32)[:, None]
        taken["score"] = w1_of_windows(score, arrangements, n, places)
    return taken


def quantile_steps(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places in n and in m ordered values, and the step of probability over which both hold.

    W1 is the integral of |Q - R| over probability; the quantile functions Q and R of n and m
    values are constant between the multiples of 1 / n and 1 / m.
    """
    cuts = np.unique(np.concatenate([np.arange(n + 1) * m, np.arange(m + 1) * n]))  # in 1 / (n m)
    return cuts[:-1] // m, cuts[:-1] // n, (np.diff(cuts) / (n * m)).astype(np.float32)


def w1_of_windows(
    coordinates: np.ndarray, arrangements: np.ndarray, n: int, places: Sequence[np.ndarray]
) -> np.ndarray:
    """(windows, B + 1) mean over dimensions of W1 of each window from the first n places."""
    steps = [quantile_steps(n, len(window)) for window in places]
    total = np.zeros((len(places), len(arrangements)))
    for column in np.ascontiguousarray(coordinates.T):
        laid = column[arrangements]
        reference = np.sort(laid[:, :n], axis=1)
        for i, (window, (ours, theirs, share)) in enumerate(zip(places, steps, strict=True)):
            moved = np.sort(laid[:, window], axis=1)
            gap = reference.take(ours, axis=1)
            gap -= moved.take(theirs, axis=1)
            total[i] += np.abs(gap, out=gap) @ share
    return total / coordinates.shape[1]


def mmd_of_windows(
    coordinates: np.ndarray,
    arrangements: np.ndarray,
    n: int,
    places: Sequence[np.ndarray],
    bandwidth: float,
) -> np.ndarray:
    """(windows, B + 1) unbiased squared MMD of each window from the first n places."""
    import torch

    from drift.sweeps import kernel_blocks, without_rounding

    device = chosen_device()
    sides = [np.arange(n), *places]
    labellings, count = len(arrangements), len(sides)
    # (rows, B + 1, sides) of 0 and 1: which rows each side holds under each arrangement
    member = torch.zeros((len(coordinates), labellings, count), dtype=torch.uint8, device=device)
    labelling = torch.arange(labellings, device=device)[:, None]
    for i, side in enumerate(sides):
        member[torch.as_tensor(arrangements[:, side], device=device).long(), labelling, i] = 1
    to_reference = torch.zeros((labellings, count), dtype=torch.float64, device=device)
    within = torch.zeros_like(to_reference)
    step = max(1, _COLUMNS // count)
    for start, kernel in kernel_blocks(torch.as_tensor(coordinates, device=device), bandwidth):
        for first in range(0, labellings, step):
            chunk = slice(first, first + step)
            held = member[:, chunk].float()
            sums = (kernel @ held.flatten(1)).view(len(kernel), *held.shape[1:])
            mine = held[start : start + len(kernel)]
            to_reference[chunk] += (mine[:, :, :1] * sums).sum(dim=0, dtype=torch.float64)
            within[chunk] += (mine * sums).sum(dim=0, dtype=torch.float64)
    to_reference, within = to_reference.cpu().numpy().T, within.cpu().numpy().T
    m = np.array([[len(window)] for window in places])
    own = within[1:] / (m * (m - 1))
    contrast = within[0] / (n * (n - 1)) + own - 2 * to_reference[1:] / (n * m)
    return without_rounding(contrast, float(np.abs(within[0]).max()) / (n * (n - 1)))
