"""Classifier two-sample test: can a logistic regression tell the two sides apart?"""

from __future__ import annotations

import numpy as np

from drift.distances.base import Distance, Measurement, Pool

FOLDS = 5
STEPS = 12
# L2 penalty on the weights as a share of the Hessian's mean diagonal: light where rows are many,
# and what keeps 1,000 weights from 100 rows finite.
PENALTY = 0.1


class C2ST(Distance):
    """Cross-validated AUC of a logistic regression between the sides; 0.5 is chance.

    Five folds, drawn without regard to the sides and by whole groups; the AUC counts pairs within
    a fold. The regression is refitted for every relabelling: relabelling only the held-out rows
    would ignore that folds share training rows, and give too many alarms.
    """

    name, unit = "c2st", "area under the ROC curve"

    def measure(self, pool: Pool) -> Measurement:
        fold = draw_folds(pool.blocks, np.random.default_rng([pool.seed, 4]))
        rows = pool.tensor(pool.coordinates)
        return Measurement(
            cross_validated_auc(rows, pool.tensor(pool.is_reference), fold),
            {"folds": FOLDS},
        )


def draw_folds(blocks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(rows,) fold of each row; rows of one block share a fold, folds are of about equal size."""
    _, block_of_row, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    order = rng.permutation(len(sizes))
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    fold_of_block = np.empty(len(sizes), dtype=np.int64)
    fold_of_block[order] = np.minimum(middle * FOLDS // len(blocks), FOLDS - 1)
    return fold_of_block[block_of_row]


def cross_validated_auc(rows, is_reference, fold: np.ndarray) -> np.ndarray:
    """(B + 1,) AUC of incoming against reference for `rows` (rows, D) under each labelling."""
    import torch

    incoming = (1 - is_reference).T.contiguous()  # (rows, B + 1)
    wins = torch.zeros(incoming.shape[1], dtype=torch.float64, device=rows.device)
    pairs = torch.zeros_like(wins)
    rows = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)  # intercept
    parts = [torch.as_tensor(np.flatnonzero(fold == f), device=rows.device) for f in range(FOLDS)]
    grams = [rows[part].T @ rows[part] for part in parts]
    total = torch.stack(grams).sum(dim=0)
    for held_out, gram in zip(parts, grams, strict=True):
        if len(held_out) == 0:
            continue
        train = torch.cat([part for part in parts if part is not held_out])
        weights = fit_logistic(rows[train], incoming[train], total - gram)
        fold_wins, fold_pairs = count_wins(rows[held_out] @ weights, incoming[held_out])
        wins += fold_wins
        pairs += fold_pairs
    return (wins / pairs.clamp(min=1)).cpu().numpy()


def fit_logistic(rows, target, gram):
    """(D + 1, B + 1) weights of one logistic regression a column of `target` (rows, B + 1).

    Böhning and Lindsay (1988): X^T X / 4 bounds the Hessian whatever the labels are, so one
    Cholesky factor serves every relabelling and every step, and each step raises the penalised
    likelihood. The last weight, the intercept, is not penalised.
    """
    import torch

    hessian = gram / 4
    mean_diagonal = hessian.diagonal()[:-1].mean()
    penalty = torch.full_like(hessian[0], float(PENALTY * mean_diagonal))
    penalty[-1] = 0
    # An all-constant direction would leave nothing to factor.
    jitter = 1e-6 * mean_diagonal + 1e-6
    factor = torch.linalg.cholesky(hessian + torch.diag(penalty + jitter))
    weights = torch.zeros((rows.shape[1], target.shape[1]), device=rows.device)
    share = target.mean(dim=0).clamp(1e-6, 1 - 1e-6)
    weights[-1] = torch.log(share / (1 - share))
    for _ in range(STEPS):
        residual = target - torch.sigmoid(rows @ weights)
        gradient = rows.T @ residual - penalty[:, None] * weights
        weights += torch.cholesky_solve(gradient, factor)
    return weights


def count_wins(scores, positive):
    """Pairs in which the positive row scores higher (ties count half), and all pairs; (B + 1,).

    `scores`, `positive` (rows, B + 1); the Mann-Whitney statistic from middle ranks.
    """
    import torch

    columns = scores.T.contiguous()
    ordered = columns.sort(dim=1).values
    low = torch.searchsorted(ordered, columns)
    high = torch.searchsorted(ordered, columns, right=True)
    rank = (low + high + 1).double() / 2
    positive = positive.T.double()
    count = positive.sum(dim=1)
    wins = (rank * positive).sum(dim=1) - count * (count + 1) / 2
    return wins, count * (columns.shape[1] - count)
