r"""One way to print a stranger's word: IDs, paths, tensor names and YAML words reach a screen or a
log without escape sequences, line ends or marks that turn the writing round.

What a character would do is shown as what it is: `\x1b`, `\n`, `\u202e`; a byte of a name that is
not UTF-8 as `\xe9`. Files carry all words as they are.
"""

from __future__ import annotations

import logging
import re
import sys

# C0 and C1 controls, soft hyphen, zero width and bidirectional marks, line and paragraph
# separators, the byte order mark, lone surrogates, annotation marks, tags.
_ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
LONGEST = 2000  # characters of a sentence


def _escaped(found: re.Match) -> str:
    character = found[0]
    if "\udc80" <= character <= "\udcff":  # a byte that was no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode()


def shown(text: object, limit: int = LONGEST) -> str:
    """A text on one line, in which nothing acts on a terminal; the middle of a long one is cut."""
    return _cut(_ACTING.sub(_escaped, _cut(str(text), limit)), limit)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[: limit * 2 // 3]} [...] {text[-(limit // 4) :]}"


def printable(name: str) -> str:
    """A file name or an ID for a table, whole."""
    return _ACTING.sub(_escaped, name)


def tell(sentence: object) -> None:
    """One line on stderr."""
    print(shown(sentence), file=sys.stderr)


class PlainOutput:
    """A text stream that lets line ends and tabs through and nothing else that acts.

    Characters that its encoding lacks are shown by their numbers.
    """

    def __init__(self, stream):
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        plain = _ACTING.sub(lambda found: found[0] if found[0] in "\n\t" else _escaped(found), text)
        plain = plain.encode(self._encoding, "backslashreplace").decode(self._encoding)
        self._stream.write(plain)
        return len(text)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


class OneLine(logging.Formatter):
    """A record's message on one line; a traceback after it keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return shown(super().formatMessage(record))
