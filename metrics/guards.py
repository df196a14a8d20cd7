"""What a reader of a figure must know about the scores behind it: one sentence each."""

from __future__ import annotations

from metrics.rates import crossing_tie, eer
from metrics.sweep import Sweep

RULE_OF_THREE = 3.0  # -ln 0.05: no error in n files still allows a rate of 3 / n at 95 %


def notes(name: str, points: Sweep) -> list[str]:
    """Sentences about one named set: a class is missing, the polarity looks swapped, ties."""
    real, fake = int(points.real[-1]), int(points.fake[-1])
    if not points.both_classes:
        found = f"{real} real and {fake} fake"
        return [f"{name}: {found} files, so figures that need both classes are NaN"]
    found = []
    rate = eer(points).rate
    if rate > 0.5:
        found.append(
            f"{name}: the EER is {rate:.1%}, above 50 %: the polarity may be swapped "
            "(larger scores must mean real; [fake_logit, real_logit] in this order)"
        )
    tied_real, tied_fake = crossing_tie(points)
    if tied_real and tied_fake:
        found.append(
            f"{name}: {tied_real} real and {tied_fake} fake files share the score at the EER's "
            "crossing: no threshold can part them (are probabilities saturated?)"
        )
    return found


def resampling_note(name: str, points: Sweep) -> list[str]:
    """What an interval cannot say: without an error there is none to draw."""
    if not points.both_classes or eer(points).rate > 0:
        return []
    fewer = int(min(points.real[-1], points.fake[-1]))
    bound = min(1.0, RULE_OF_THREE / fewer)
    return [
        f"{name}: one threshold parts the classes, so resampling gives [0, 0] for the EER; "
        f"with {fewer} files in the smaller class an error rate up to {bound:.2g} is compatible"
    ]
