"""A verdict as soon as the evidence suffices: Wald's sequential test on log likelihood ratios.

The sum of ln p(s | real) / p(s | fake) is watched until it leaves (ln `miss`, -ln `false_alarm`).
With these bounds (Wald 1945; Ville's inequality) a fake is called real with a probability of
`false_alarm` at most and a real one fake with `miss` at most, however long one listens. That holds
for calibrated ratios of independent stretches. Windows that overlap share their sound, so a window
is taken where the last one taken has ended; stretches of one voice still resemble each other, which
no threshold mends: `benchmarks/streaming.py` has the rates of correlated ratios.
"""

from __future__ import annotations

import math

NOT_YET = "not yet"


class SequentialTest:
    """`take` each window in turn; `verdict` is "not yet" and then, for good, "real" or "fake".

    `false_alarm`: highest probability of calling a fake real, `miss`: of calling a real one fake;
    both in (0, 0.5). `evidence` is the sum so far, `decided_at` the second of the verdict.
    """

    def __init__(self, false_alarm: float, miss: float):
        if not (0 < false_alarm < 0.5 and 0 < miss < 0.5):
            raise ValueError(f"error rates lie between 0 and 0.5, not {false_alarm} and {miss}")
        self.upper, self.lower = -math.log(false_alarm), math.log(miss)
        self.evidence = 0.0
        self.verdict = NOT_YET
        self.decided_at: float | None = None
        self._taken_until = 0.0

    def take(self, start: float, stop: float, log_likelihood_ratio: float) -> str:
        """The verdict after a window of [start, stop) seconds."""
        if self.verdict != NOT_YET or start < self._taken_until:
            return self.verdict
        self._taken_until = stop
        self.evidence += log_likelihood_ratio
        if not self.lower < self.evidence < self.upper:
            self.verdict = "real" if self.evidence > 0 else "fake"
            self.decided_at = stop
        return self.verdict
