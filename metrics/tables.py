"""Rows of figures as text: the screen's table, CSV, Markdown and LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from dataio.words import printable

DECIMALS = 4
NAME_WIDTH = 40  # letters of a row's name on the screen


def figure(value: object) -> str:
    """A cell: four decimals for a float, `NaN` for none, anything else as it is."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "NaN"
    return f"{value:.{DECIMALS}f}" if isinstance(value, float) else str(value)


def slice_names(rows: Sequence[Mapping]) -> list[str]:
    """What each slice is called: its value, with the subset where there are several."""
    several = len({row["subset"] for row in rows}) > 1
    return [f"{row['subset']} {row['value']}" if several else row["value"] for row in rows]


def shortened(names: Sequence[str], width: int) -> list[str]:
    """Names of at most `width` letters, their middles left out; what would be equal stays whole."""
    head = (width - 1) // 2
    short = [
        name if len(name) <= width else f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"
        for name in names
    ]
    again = {text for text in short if short.count(text) > 1}
    return [name if text in again else text for name, text in zip(names, short, strict=True)]


def screen(rows: Mapping[str, Mapping[str, object]], index: str = "subset") -> str:
    """The published layout: right-aligned columns, the index's name on a line of its own."""
    names = list(next(iter(rows.values())))
    heads = shortened([printable(key) for key in rows], NAME_WIDTH)
    cells = {
        head: [printable(figure(row[name])) for name in names]
        for head, row in zip(heads, rows.values(), strict=True)
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

    return "".join("| " + " | ".join(map(escaped, line)) + " |\n" for line in lines)


def escaped(text: str) -> str:
    """Text in one line for Markdown."""
    return MARKDOWN_SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


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
    texts = [
        " & ".join(" ".join(cell.split()).translate(LATEX_SPECIAL) for cell in line) + r" \\"
        for line in lines
    ]
    # a bracket or star would be an option of the line break before it
    texts = ["{}" + text if text[0] in "[*" else text for text in texts]
    head = rf"\begin{{tabular}}{{l{'r' * len(names)}}}"
    return "\n".join(
        [head, r"\toprule", texts[0], r"\midrule", *texts[1:], r"\bottomrule", r"\end{tabular}", ""]
    )
