"""Embedding-like samples: correlated dimensions, two classes, heavy tails."""

from __future__ import annotations

import numpy as np

from drift.embeddings import EmbeddingSet, embedding_set

META = {
    "model": "w2v_tiny",
    "checkpoint_sha256": "ab" * 32,
    "engine": "native",
    "precision": "fp32",
    "sample_rate": 16000,
    "layer": "last",
    "pooling": "mean over valid frames",
}


class World:
    """One distribution of D dimensions: `draw` samples it, with keywords that make it drift."""

    def __init__(self, dimensions: int, seed: int = 0) -> None:
        rng = np.random.default_rng([seed, dimensions])
        self.dimensions = dimensions
        self.mixing = rng.standard_normal((8, dimensions)).astype(np.float32)
        self.classes = rng.standard_normal((2, dimensions)).astype(np.float32) * 0.4
        self.new = rng.standard_normal(dimensions).astype(np.float32) * 0.6
        self.scales = rng.gamma(2.0, 0.5, dimensions).astype(np.float32) + 0.1

    def draw(
        self,
        rows: int,
        rng: np.random.Generator,
        *,
        shift: float = 0.0,
        spread: float = 1.0,
        new_share: float = 0.0,
        real_share: float = 0.5,
        name: str = "u",
    ) -> EmbeddingSet:
        """`rows` utterances; a shift of every mean and a spread of every deviation in deviations,
        a share of rows from a cluster never seen before, another mix of real and fake."""
        label = (rng.random(rows) < real_share).astype(np.int8)
        factors = rng.standard_t(5, (rows, 8)).astype(np.float32) @ self.mixing * 0.25
        noise = rng.standard_normal((rows, self.dimensions), dtype=np.float32)
        embeddings = (factors + noise) * spread + shift + self.classes[label]
        arrived = rng.random(rows) < new_share
        embeddings[arrived] += self.new
        difference = np.where(label == 1, 3.0, -3.0) + rng.standard_normal(rows)
        difference = np.where(arrived, difference + 2.0, difference)
        return embedding_set(
            embeddings * self.scales,
            ids=np.array([f"{name}-{i:05d}" for i in range(rows)]),
            logits=np.stack([-difference / 2, difference / 2], axis=1),
            labels=np.where(arrived, 0, label),
            meta=META,
            columns={"Attack": np.where(arrived, "new_tts", np.where(label == 1, "-", "A01"))},
            name=f"{name}.npz",
        )
