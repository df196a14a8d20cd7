"""A comparison as JSON (versioned) and as text for a terminal."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from dataio.whole_files import write_text
from dataio.words import printable, shown
from drift import __version__
from drift.comparison import Comparison
from drift.distances import Result
from drift.null import status_of
from drift.ranking import DriftedFile
from drift.reference import Reference
from drift.subsets import Part
from drift.windows import Windows

SCHEMA_VERSION = 1


def as_json(comparison: Comparison) -> dict:
    """Plain data; what is not known is null, so the text is strict JSON."""
    reference, incoming, request = comparison.reference, comparison.incoming, comparison.request
    windows = comparison.windows
    found = {
        "schema_version": SCHEMA_VERSION,
        "toolkit_version": __version__,
        "status": comparison.status,
        "p": comparison.p,
        "alpha": request.alpha,
        "family_alpha": request.family_alpha,
        "draws": request.draws,
        "seed": request.seed,
        "reference": {
            "name": reference.sample.name,
            "rows_compared": len(reference.sample),
            "rows_of_scale": reference.scale.rows,
            "total_rows": reference.sample.total_rows,
            "seed": reference.seed,
            "group": reference.group,
            "meta": reference.sample.meta,
            "eer": comparison.eer[0],
            "null": null_table(reference),
        },
        "incoming": {
            "name": incoming.name,
            "rows_compared": len(incoming),
            "total_rows": incoming.total_rows,
            "meta": incoming.meta,
            "eer": comparison.eer[1],
        },
        "distances": [_result(result) for result in comparison.results],
        "slices": {
            column: [_part(part) for part in parts] for column, parts in comparison.slices.items()
        },
        "windows": None
        if windows is None
        else {
            "status": windows.status,
            "p": windows.p,
            "level": windows.level,
            "note": windows.note,
            "rule": [windows.k, windows.n],
            "windows": [
                {**_part(part), "raised": raised}
                for part, raised in zip(windows.parts, windows.raised, strict=True)
            ],
        },
        "classes": None
        if comparison.classes is None
        else {
            **asdict(comparison.classes),
            "parts": [_part(part) for part in comparison.classes.parts],
        },
        "conditions": [asdict(condition) for condition in comparison.conditions],
        "most_drifted": [asdict(file) for file in comparison.drifted],
        "notes": comparison.notes,
    }
    return _plain(found)


def null_table(reference: Reference) -> list[dict]:
    """What windows of some sizes show when nothing has changed, one entry a size and distance."""
    from drift.null import LEVELS

    null = reference.null
    return [
        {
            "rows": int(size[1]),
            "against": int(size[0]),
            "distance": str(name),
            "quantiles": dict(zip(map(str, LEVELS), map(float, null.quantiles[i, j]), strict=True)),
        }
        for i, size in enumerate(null.sizes)
        for j, name in enumerate(null.names)
    ]


def _result(result: Result) -> dict:
    found = asdict(result)
    found["null"] = {str(level): value for level, value in result.null.items()}
    # One number a file; the report's ranking says it better.
    found["details"] = {k: v for k, v in result.details.items() if k != "neighbour_distances"}
    return found


def _part(part: Part) -> dict:
    return {**asdict(part), "results": [_result(result) for result in part.results]}


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: str | Path, comparison: Comparison) -> None:
    write_text(path, json.dumps(as_json(comparison), indent=1, allow_nan=False) + "\n")


def number(value: float) -> str:
    """Four significant figures; `-` for what is not known."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Columns aligned for a terminal, the first to the left; one of dashes only is left out."""
    kept = [i for i in range(len(heads)) if i == 0 or any(row[i] != "-" for row in rows)]
    heads, rows = [heads[i] for i in kept], [[printable(row[i]) for i in kept] for row in rows]
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = []
    for row in [heads, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def result_rows(results) -> list[list[str]]:
    return [
        [r.name, r.status, number(r.value), number(r.null.get(0.95, math.nan)), number(r.effect),
         number(r.p), f"{r.n}/{r.m}", r.unit + (f" ({r.note})" if r.note else "")]
        for r in results
    ]  # fmt: skip


RESULT_HEADS = ["distance", "status", "value", "null 95%", "effect", "p", "rows", "unit"]


def part_rows(parts: list[Part]) -> list[list[str]]:
    return [
        [part.name, part.status, str(part.rows),
         number(part.results[0].effect if part.results else math.nan), _interval(part),
         number(part.p), number(part.adjusted_p), percent(part.eer), part.against]
        for part in parts
    ]  # fmt: skip


def part_heads(parts: list[Part], kind: str) -> list[str]:
    name = parts[0].results[0].name if parts and parts[0].results else "distance"
    effect = [f"{name} effect", "95% interval", "p", "adjusted p", "EER", "against"]
    return [kind, "status", "rows", *effect]


def _interval(part: Part) -> str:
    if part.interval is None:
        return "-"
    return f"{number(part.interval[0])} to {number(part.interval[1])}"


def percent(value: float) -> str:
    return "-" if not math.isfinite(value) else f"{100 * value:.2f} %"


def counted_rows(comparison: Comparison) -> str:
    """Of which rows a window counts, where not of all that arrived; else an empty text."""
    incoming, request = comparison.incoming, comparison.request
    if not (str(request.window).isdigit() and (incoming.total_rows or 0) > len(incoming)):
        return ""
    return (
        f"; {request.window} of the {len(incoming):,} rows drawn from {incoming.total_rows:,} "
        f"with seed {request.seed}"
    )


def describe(comparison: Comparison) -> str:
    """The whole comparison for a terminal."""
    reference, incoming = comparison.reference, comparison.incoming
    lines = [
        headline(comparison),
        f"reference {shown(reference.sample.name)}: {len(reference.sample)} rows compared, "
        f"{reference.scale.rows} others fixed the scale; EER {percent(comparison.eer[0])}",
        f"incoming {shown(incoming.name)}: {len(incoming)} rows; EER {percent(comparison.eer[1])}",
        *(shown(f"note: {note}") for note in comparison.notes),
        "",
        table(RESULT_HEADS, result_rows(comparison.results)),
    ]
    for column, parts in comparison.slices.items():
        lines += ["", f"by {column}:", table(part_heads(parts, column), part_rows(parts))]
    if comparison.windows is not None:
        w = comparison.windows
        lines += [
            "",
            f"windows: {w.status.upper()} ({w.note or windows_rule(w)}{counted_rows(comparison)})",
            table(part_heads(w.parts, "window"), part_rows(w.parts)),
        ]
    if comparison.classes is not None:
        c = comparison.classes
        lines += [
            "",
            f"predicted fake {percent(c.share_reference)} -> {percent(c.share_incoming)} "
            f"(p = {number(c.mix_p)}): {c.reading}",
            table(part_heads(c.parts, "class"), part_rows(c.parts)),
        ]
    if comparison.conditions:
        rows = [
            [c.name, c.reference, c.incoming, number(c.distance), number(c.p)]
            for c in comparison.conditions
        ]
        heads = ["signal", "reference", "incoming", "distance", "p"]
        lines += ["", table(heads, rows)]
    return "\n".join(lines)


def headline(comparison: Comparison) -> str:
    """The status, what raised it, and the whole's p over the distances that were computed."""
    request = comparison.request
    measured = [r.name for r in comparison.results if r.status != "insufficient"]
    over = f" over {', '.join(measured)}" if measured else ""
    shared = f", {request.families} families share {request.alpha:g}" * (request.families > 1)
    raised = raised_by(comparison)
    by = f" by {' and '.join(raised)}" * (request.families > 1 and bool(raised))
    of_whole = " for the whole" * (request.families > 1)
    return (
        f"{comparison.status.upper()}{by}: p = {number(comparison.p)}{of_whole}{over} "
        f"({request.draws} relabellings, seed {request.seed}; "
        f"alarm at p <= {number(request.family_alpha)}{shared})"
    )


def raised_by(comparison: Comparison) -> list[str]:
    """The families that have the status, where it is a warning or an alarm."""
    if comparison.status not in ("warn", "alarm"):
        return []
    whole = status_of(comparison.p, comparison.request.family_alpha)
    families = {"the whole": [whole]}
    for column, parts in comparison.slices.items():
        families[f"slices of {column}"] = [part.status for part in parts]
    if comparison.windows is not None:
        families["windows"] = [comparison.windows.status]
    return [name for name, states in families.items() if comparison.status in states]


def windows_rule(windows: Windows) -> str:
    """What the rule asked for and what it found."""
    asked = f"alarm where {windows.k} of {windows.n} windows have p <= {number(windows.level)}"
    return f"{asked}; p = {number(windows.p)} for the whole run"


def describe_files(files: list[DriftedFile]) -> str:
    rows = [
        [file.id, number(file.distance), number(file.ratio), number(file.p), number(file.q),
         number(file.score)]
        for file in files
    ]  # fmt: skip
    return table(["ID", "distance", "x reference", "p", "adjusted p", "score"], rows)


def write_ranking(path: str | Path, files: list[DriftedFile]) -> None:
    """The ranking as CSV, every digit kept."""
    import csv
    import io

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [field.name for field in fields(DriftedFile)]
    writer.writerow(names)
    writer.writerows([getattr(file, name) for name in names] for file in files)
    write_text(path, stream.getvalue())
