"""Frechet distance between normals fitted to both sides, on the reference's components."""

from __future__ import annotations

import numpy as np

from drift.distances.base import Distance, Measurement, Pool
from drift.reference import ROWS_PER_COMPONENT


class Frechet(Distance):
    """|mean difference|^2 + tr(A + B - 2 (A B)^(1/2)) with covariances A, B after the PCA.

    At most 64 components, fitted on the reference's scale part; drift outside of them is not
    seen here (w1, mmd and energy see it). Fewer than five rows a component make it unsteady,
    which the note says; its p-value stays exact.
    """

    name, unit = "frechet", "squared reference deviations"

    def measure(self, pool: Pool) -> Measurement:
        components = pool.reference.scale.components
        kept = len(components)
        scores = pool.tensor(pool.coordinates) @ pool.tensor(components.T)
        values = frechet_of_labellings(scores.double(), pool.tensor(pool.is_reference, "float64"))
        note = ""
        if min(pool.n, pool.m) < ROWS_PER_COMPONENT * kept:
            note = f"fewer than {ROWS_PER_COMPONENT} rows for each of {kept} components"
        return Measurement(values, {"components": kept}, note)


def frechet_of_labellings(scores, is_reference) -> np.ndarray:
    """(B + 1,) distances of `scores` (rows, K) split by `is_reference` (B + 1, rows), float64.

    The sums of x and of x x^T over the reference rows are two matrix products for all
    labellings; the incoming ones are what is left of the totals.
    """
    import torch

    rows, kept = scores.shape
    upper = torch.triu_indices(kept, kept, device=scores.device)
    products = scores[:, upper[0]] * scores[:, upper[1]]  # (rows, K (K + 1) / 2)
    n = is_reference.sum(dim=1, keepdim=True)
    sums, outer = is_reference @ scores, is_reference @ products
    sides = (
        (n, sums, outer),
        (rows - n, scores.sum(dim=0) - sums, products.sum(dim=0) - outer),
    )
    means, covariances = [], []
    for count, total, total_products in sides:
        mean = total / count
        square = torch.empty((len(n), kept, kept), dtype=scores.dtype, device=scores.device)
        square[:, upper[0], upper[1]] = square[:, upper[1], upper[0]] = total_products
        covariance = square - count[:, :, None] * mean[:, :, None] * mean[:, None, :]
        means.append(mean)
        covariances.append(covariance / (count[:, :, None] - 1))
    first, second = covariances
    trace = first.diagonal(dim1=1, dim2=2).sum(1) + second.diagonal(dim1=1, dim2=2).sum(1)
    # tr (A B)^(1/2) is the sum of the roots of the eigenvalues of A^(1/2) B A^(1/2)
    root = _square_root(first)
    cross = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum(dim=1)
    shift = (means[0] - means[1]).square().sum(dim=1)
    return (shift + trace - 2 * cross).cpu().numpy()


def _square_root(symmetric):
    import torch

    values, vectors = torch.linalg.eigh(symmetric)
    return (vectors * values.clamp(min=0).sqrt()[:, None, :]) @ vectors.transpose(1, 2)
