"""The word that somebody probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


def nearest(
    word: str, known: Iterable[str], meanings: Mapping[str, str] | None = None
) -> str | None:
    """The one of `known` that `word` means or is spelled like; None where nothing is near.

    `meanings` maps each known word to a text of words that others use for it.
    """
    known = list(known)
    plain = word.lower().replace("-", "_")
    for candidate, others in (meanings or {}).items():
        if candidate in known and plain in others.split():
            return candidate
    by_plain = {candidate.lower().replace("-", "_"): candidate for candidate in known}
    near = difflib.get_close_matches(plain, by_plain, n=1)
    if near:
        return by_plain[near[0]]
    for candidate, others in (meanings or {}).items():
        if candidate in known and difflib.get_close_matches(plain, others.split(), n=1, cutoff=0.8):
            return candidate
    return None


def did_you_mean(
    word: str, known: Iterable[str], meanings: Mapping[str, str], otherwise: str
) -> str:
    """The end of a refusal's sentence: a question where a word is near, else `otherwise`."""
    near = nearest(word, known, meanings)
    return f"did you mean {near!r}?" if near else otherwise
