"""What a reader of a figure must know about the scores behind it: one sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metrics.rates import crossing_tie, eer, eer_interpolated
from metrics.sweep import Sweep

SLICES_NOTED = 5


def notes(name: str, points: Sweep, *, part: bool = False) -> list[str]:
    """Sentences about one named set: a class is missing, the order is reversed, ties.

    `part`: a slice of a set, whose reversed order says nothing about the polarity of the scores.
    """
    real, fake = int(points.real[-1]), int(points.fake[-1])
    if not points.both_classes:
        found = f"{real} real and {fake} fake"
        return [f"{name}: {found} files, so figures that need both classes are NaN"]
    found = []
    rate = eer_interpolated(points).rate  # the ASVspoof rule may say 0.75 of a coin toss
    if rate > 0.5:
        meaning = (
            "real files score below fake ones here"
            if part
            else "the polarity may be swapped (larger scores must mean real; "
            "[fake_logit, real_logit] in this order)"
        )
        found.append(f"{name}: the EER is {rate:.1%}, above 50 %: {meaning}")
    tied_real, tied_fake = crossing_tie(points)
    if tied_real and tied_fake:
        found.append(
            f"{name}: {tied_real} real and {tied_fake} fake files share the score at the EER's "
            "crossing: no threshold can part them (are probabilities saturated?)"
        )
    return found


def group_notes(name: str, points: Sweep, groups: Mapping[str, int], unit: str) -> list[str]:
    """What reweighting `groups` of each class, `unit`s ("file", "group"), cannot tell."""
    lone = [kind for kind in ("real", "fake") if groups[kind] == 1]
    if lone:
        whose = " and ".join(lone)
        return [f"{name}: one {unit} holds all {whose} files, so no interval can be drawn over it"]
    if not points.both_classes or eer(points).rate > 0:
        return []
    fewer = min(groups.values())
    return [
        f"{name}: one threshold parts the classes, so no error was seen; the EER's interval "
        f"ends where {fewer} {unit}s of the smaller class without an error are still likely"
    ]


def gathered(subsets: Sequence[Mapping], slices: Mapping[str, Mapping]) -> list[str]:
    """The notes of all rows for the screen: every subset's, then those of the first few slices."""
    found = [note for row in subsets for note in row["notes"]]
    parts = [row for column in slices.values() for row in column["rows"]]
    noted = [row for row in parts if row["notes"]]
    found += [note for row in noted[:SLICES_NOTED] for note in row["notes"]]
    if len(noted) > SLICES_NOTED:
        left = len(noted) - SLICES_NOTED
        found.append(f"{left} more slices have such notes: `notes` of their rows in the JSON")
    return found
