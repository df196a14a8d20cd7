"""Distances from all pairs of rows: mmd, energy, and the nearest neighbours that rank files."""

from __future__ import annotations

from drift.distances.base import Distance, Measurement, Pool


class MMD(Distance):
    """Unbiased squared maximum mean discrepancy, RBF kernel (Gretton et al. 2012, eq. 3).

    The bandwidth is the median distance within the reference's scale part, stored with it.
    About 0 when nothing has changed, and below 0 about half of the time.
    """

    name, unit = "mmd", "squared kernel mean"

    def measure(self, pool: Pool) -> Measurement:
        return Measurement(pool.pairs["mmd"], {"bandwidth": pool.reference.scale.bandwidth})


class Energy(Distance):
    """Unbiased energy distance 2 E|x - y| - E|x - x'| - E|y - y'| (Szekely and Rizzo 2013)."""

    name, unit = "energy", "reference deviations"

    def measure(self, pool: Pool) -> Measurement:
        return Measurement(pool.pairs["energy"])


class KNN(Distance):
    """Mean distance to the fifth nearest reference row, in the reference's median row distance.

    One-sided by nature: it sees utterances far from every reference row, and not that a region
    of the reference is no longer visited. The single distances rank the files.
    """

    name, unit = "knn", "median reference distances"

    def measure(self, pool: Pool) -> Measurement:
        bandwidth = pool.reference.scale.bandwidth
        details = {"neighbour_distances": pool.pairs["neighbour"] / bandwidth}
        return Measurement(pool.pairs["knn"] / bandwidth, details)
