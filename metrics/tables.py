"""Rows of figures as text: the screen's table, CSV, Markdown and LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from dataio.words import printable

DECIMALS = 4


def figure(value: object) -> str:
    """A cell: four decimals for a float, `NaN` for none, anything else as it is."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "NaN"
    return f"{value:.{DECIMALS}f}" if isinstance(value, float) else str(value)


def screen(rows: Mapping[str, Mapping[str, object]], index: str = "subset") -> str:
    """The published layout: right-aligned columns, the index's name on a line of its own."""
    names = list(next(iter(rows.values())))
    cells = {
        printable(key): [printable(figure(row[name])) for name in names]
        for key, row in rows.items()
    }
    first = max(len(text) for text in (index, *cells))
    widths = [
        max(len(name), *(len(row[i]) for row in cells.values())) for i, name in enumerate(names)
    ]

    def line(head: str, texts: Sequence[str]) -> str:
        padded = (text.rjust(width) for text, width in zip(texts, widths, strict=True))
        return "  ".join([head.ljust(first), *padded])

    return "\n".join([line("", names), index, *(line(key, row) for key, row in cells.items())])


# what starts markup in a cell; an underscore within a word does not, nor does a lone [bracket]
MARKDOWN_SPECIAL = re.compile(r"[\\`*|<>~$&]|(?<!\w)_|_(?!\w)|\](?=\()")


def markdown(rows: Mapping[str, Mapping[str, str]], index: str = "subset") -> str:
    """A pipe table; names and cells are text, so what would be markup in them is escaped."""
    names = list(next(iter(rows.values())))
    lines = [[index, *names], ["---"] + ["---:"] * len(names)]
    lines += [[key, *(row[name] for name in names)] for key, row in rows.items()]

    def text(cell: str) -> str:
        return MARKDOWN_SPECIAL.sub(r"\\\g<0>", " ".join(cell.split()))

    return "".join("| " + " | ".join(map(text, line)) + " |\n" for line in lines)


LATEX_SPECIAL = {ord(letter): "\\" + letter for letter in "&%$#_{}"} | {
    ord("~"): "\\textasciitilde{}",
    ord("^"): "\\textasciicircum{}",
    ord("\\"): "\\textbackslash{}",
    ord("<"): "\\textless{}",  # these three are other characters in LaTeX's old default fonts
    ord(">"): "\\textgreater{}",
    ord("|"): "\\textbar{}",
}


def latex(rows: Mapping[str, Mapping[str, str]], index: str = "subset") -> str:
    """A `tabular` with booktabs rules."""
    names = list(next(iter(rows.values())))
    lines = [[index, *names], *([key, *(row[n] for n in names)] for key, row in rows.items())]
    texts = [" & ".join(cell.translate(LATEX_SPECIAL) for cell in line) + r" \\" for line in lines]
    # a bracket or star would be an option of the line break before it
    texts = ["{}" + text if text[0] in "[*" else text for text in texts]
    head = rf"\begin{{tabular}}{{l{'r' * len(names)}}}"
    return "\n".join(
        [head, r"\toprule", texts[0], r"\midrule", *texts[1:], r"\bottomrule", r"\end{tabular}", ""]
    )
