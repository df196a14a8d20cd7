"""Drift of the detector's own score, for which no embeddings are needed."""

from __future__ import annotations

import numpy as np

from drift.distances.base import Distance, Measurement, Pool


class Score(Distance):
    """W1 of the logit difference s, in reference deviations; with it KS and the share of s < 0."""

    name, unit = "score", "reference deviations"
    needs_logits = True

    def measure(self, pool: Pool) -> Measurement:
        from drift.sweeps import sweep_ranks

        ranked = sweep_ranks(
            pool.tensor(pool.score[:, None]),
            pool.tensor(pool.is_reference),
            wanted=frozenset({"w1", "ks"}),
        )
        side = pool.is_reference.astype(np.float32)
        fake = pool.predicted_fake.astype(np.float32)
        n = side.sum(axis=1)
        in_reference = side @ fake
        share = in_reference / n
        share_incoming = (fake.sum() - in_reference) / (len(fake) - n)
        difference = np.abs(share_incoming - share)
        details = {
            "ks": float(ranked["ks"][0, 0]),
            "ks_null_95": float(np.quantile(ranked["ks"][1:, 0], 0.95)),
            "fake_share_reference": float(share[0]),
            "fake_share_incoming": float(share_incoming[0]),
            "fake_share_difference_null_95": float(np.quantile(difference[1:], 0.95)),
        }
        return Measurement(ranked["w1"][:, 0].astype(np.float64), details)
