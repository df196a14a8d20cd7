"""Files that belong together: one speaker's, one attack's, or those of any protocol column."""

from __future__ import annotations

import numpy as np

from dataio.schema import FAKE, REAL


def members(clusters: np.ndarray) -> np.ndarray:
    """The group of each file (N,), numbered from 0; a negative code is a file on its own."""
    clusters = np.array(clusters, dtype=np.int64)
    alone = clusters < 0
    clusters[alone] = clusters.max(initial=-1) + 1 + np.arange(alone.sum())
    return np.unique(clusters, return_inverse=True)[1]


def group_counts(labels: np.ndarray, clusters: np.ndarray | None) -> dict[str, int]:
    """How many groups hold real files and how many hold fake ones; without clusters, files."""
    of_class = {"real": np.asarray(labels) == REAL, "fake": np.asarray(labels) == FAKE}
    if clusters is None:
        return {name: int(files.sum()) for name, files in of_class.items()}
    member = members(clusters)
    return {name: int((np.bincount(member[files]) > 0).sum()) for name, files in of_class.items()}
