"""Where an evaluation goes: the screen, JSON, CSV, Markdown, LaTeX, plots and the report."""

from __future__ import annotations

import argparse
import csv
import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from dataio.whole_files import whole_file
from dataio.words import shown
from metrics.curves import finite
from metrics.tables import escaped, figure, latex, markdown, screen, slice_names

LISTED_SLICES = 40  # on the screen; the JSON has them all
SIZES = ("files", "real", "fake")
TESTS = ("delong", "mcnemar")


def versions() -> dict[str, str]:
    """What the figures were computed with."""
    import numpy

    project = Path(__file__).resolve().parent.parent / "pyproject.toml"
    found = re.search(r'^version = "(.*)"', project.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        "antideepfake": found.group(1) if found else "unknown",
        "python": platform.python_version(),
        "numpy": numpy.__version__,
    }


def to_screen(found: dict, names: Sequence[str], intervals_too: bool) -> None:
    """The published table, then whatever else was asked for, then the notes."""
    if "calibration" in found:
        _print_calibration(found["calibration"])
    threshold = found["setting"]["threshold"]["probability"]
    print(f"Threshold on P(real) for accuracy, precision, recall, f1, fpr, fnr: {threshold:g}")
    print(screen({row["subset"]: _picked(row["figures"], names) for row in found["subsets"]}))
    if intervals_too:
        print(f"\n{bootstrap_sentence(found['setting']['bootstrap'])}")
        cells = {
            row["subset"]: {name: interval(row["intervals"][name]) for name in names} | _groups(row)
            for row in found["subsets"]
        }
        print(screen(cells))
    for part, show in (
        ("slices", _print_slices),
        ("against", _print_against),
        ("threshold_transfer", _print_transfer),
    ):
        if part in found:
            print()
            show(found[part])
    print_notes(found["notes"])


def bootstrap_sentence(bootstrap: dict) -> str:
    """How the intervals were made."""
    cluster = bootstrap["cluster"]
    unit = "files within each class" if cluster is None else f"whole groups by {cluster}"
    drawn = f"{bootstrap['replicates']} reweightings of {unit}, seed {bootstrap['seed']}"
    return f"{100 * bootstrap['confidence']:g}% intervals: {drawn}"


def _groups(row: Mapping) -> dict[str, int]:
    """`real_groups` and `fake_groups` of a row whose files were drawn in groups."""
    return {f"{kind}_groups": count for kind, count in row.get("groups", {}).items()}


def interval(bounds: Sequence[float]) -> str:
    """'[0.0412, 0.0810]'."""
    return f"[{figure(bounds[0])}, {figure(bounds[1])}]"


def print_notes(notes: Iterable[str]) -> None:
    for sentence in notes:
        print(shown(f"note: {sentence}"))


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def to_files(found: dict, arguments: argparse.Namespace) -> list[str]:
    """Every file that was asked for, each appears whole; one line a file for the screen."""
    writers = {
        "json": write_json,
        "csv": write_csv,
        "markdown": _write_markdown,
        "latex": _write_latex,
        "report": _write_report,
        "plots": _write_plots,
    }
    written = []
    for option, write in writers.items():
        path = getattr(arguments, option)
        if path:
            write(path, found)
            written.append(f"wrote {path}")
    return written


def write_json(path: str, found: dict) -> None:
    """Strict JSON: what is not a number is null."""
    with whole_file(path) as stream:
        json.dump(finite(found), stream, indent=1, allow_nan=False)
        stream.write("\n")


def write_csv(path: str, found: dict) -> None:
    """One row a subset, then one a slice: sizes, figures, and `<figure>_low`, `<figure>_high`.

    With slices, `column` and `value` say of which; with a second system a subset's row goes on with
    B's figures, the differences A - B and the tests' p-values.
    """
    compared = found.get("against", {}).get("subsets", [])
    rows = [
        {"subset": row["subset"], **_row_cells(row), **(_compared_cells(other) if other else {})}
        for row, other in zip_longest(found["subsets"], compared)
    ]
    for column, part in found.get("slices", {}).items():
        for row in part["rows"]:
            origin = {"subset": row["subset"], "column": column, "value": row["value"]}
            rows.append(origin | _row_cells(row))
    names = dict.fromkeys(name for row in rows for name in row)
    if "column" in names:
        names = dict.fromkeys(("subset", "column", "value")) | names
    with whole_file(path) as stream:
        writer = csv.DictWriter(stream, list(names), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row_cells(row: Mapping) -> dict[str, object]:
    cells = {**_picked(row, SIZES), **_groups(row), **row["figures"]}
    for name, (low, high) in row.get("intervals", {}).items():
        cells |= {f"{name}_low": low, f"{name}_high": high}
    return cells


def _compared_cells(row: Mapping) -> dict[str, object]:
    cells = {}
    for name, part in row["differences"].items():
        cells |= {f"{name}_b": part["b"], f"{name}_difference": part["difference"]}
        if "interval" in part:
            low, high = part["interval"]
            cells |= {f"{name}_difference_low": low, f"{name}_difference_high": high}
    for test in TESTS:
        cells |= {f"p_{test}": row[test]["p_value"], f"holm_{test}": row[test].get("p_holm", "")}
    return cells


def with_intervals(rows: Iterable[Mapping], names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Cells for a document: 'figure [low, high]' of every row by its name, sizes first."""
    cells = {}
    for row, name_of_row in zip(rows, names, strict=True):
        texts = {name: str(count) for name, count in (_picked(row, SIZES) | _groups(row)).items()}
        for name, value in row["figures"].items():
            bounds = row.get("intervals", {}).get(name)
            texts[name] = figure(value) + (f" {interval(bounds)}" if bounds else "")
        cells[name_of_row] = texts
    return cells


def documents(found: dict) -> Iterator[tuple[str, str, dict[str, dict[str, str]]]]:
    """Title, index and cells of each table of a document: subsets, slices, the comparison."""
    rows = found["subsets"]
    yield "", "subset", with_intervals(rows, [row["subset"] for row in rows])
    for column, part in found.get("slices", {}).items():
        if part["rows"]:
            names = slice_names(part["rows"])
            yield f"By {column}, worst EER first", column, with_intervals(part["rows"], names)
    if "against" in found:
        systems = "A = {a}, B = {b}: A - B".format(**found["against"])
        yield systems, "subset", comparison_cells(found["against"])


def _write_markdown(path: str, found: dict) -> None:
    with whole_file(path) as stream:
        for title, index, cells in documents(found):
            stream.write(f"\n{escaped(title)}\n\n" if title else "")
            stream.write(markdown(cells, index))


def _write_latex(path: str, found: dict) -> None:
    with whole_file(path) as stream:
        for title, index, cells in documents(found):
            stream.write(f"\n% {' '.join(title.split())}\n" if title else "")
            stream.write(latex(cells, index))


def _write_report(path: str, found: dict) -> None:
    from metrics.report import page

    text = page(finite(found))
    with whole_file(path) as stream:
        stream.write(text)


def _write_plots(path: str, found: dict) -> None:
    from metrics.plots import save_all

    save_all(path, finite(found))


def _picked(row: Mapping, names: Sequence[str]) -> dict:
    return {name: row[name] for name in names}


def _print_calibration(found: dict) -> None:
    print(
        "Calibrated ({method}, {path}): Cllr {cllr_before:.4f} -> {cllr_after:.4f} bits "
        "(min {min_cllr:.4f}); P(real) below is at prior 0.5".format(**found)
    )


def _print_slices(found: dict) -> None:
    for column, content in found.items():
        rows = content["rows"]
        print(shown(f"By {column}, worst EER first ({len(rows)} slices)"))
        table = {}
        for name, row in list(zip(slice_names(rows), rows, strict=True))[:LISTED_SLICES]:
            cells = {**_picked(row, ("real", "fake")), **_groups(row), **row["figures"]}
            bounds = row.get("intervals")
            if bounds:
                cells["eer_interval"] = interval(bounds["eer"])
            cells["real_from"] = row["real_from"]
            table[name] = cells
        if table:
            print(screen(table, column))
        if len(rows) > LISTED_SLICES:
            print(f"... and {len(rows) - LISTED_SLICES} more: --csv and --json have them all")
        means = content["averages"]
        print(f"EER: {pooled_and_macro(means)}")


def pooled_and_macro(means: dict) -> str:
    """Both averages of the EER over slices, named apart, with the number of slices."""
    pooled, macro = (figure(means[kind]["eer"]) for kind in ("pooled", "macro"))
    without = f", {means['left_out']['eer']} without an EER left out" * bool(
        means["left_out"]["eer"]
    )
    return (
        f"pooled {pooled} (all their files, one threshold), "
        f"macro {macro} (mean of the {means['rows']['eer']} slices{without})"
    )


def _print_against(found: dict) -> None:
    drawn = "interval" in next(iter(found["subsets"][0]["differences"].values()))
    print(f"A = {found['a']}, B = {found['b']}: A - B{' with paired intervals' if drawn else ''}")
    if found["cluster"]:
        print(f"DeLong's and McNemar's tests over whole groups by {found['cluster']}")
    print(screen(comparison_cells(found)))


def comparison_cells(found: dict) -> dict[str, dict[str, str]]:
    """Differences A - B, with their intervals if there are any, and p-values of every subset."""
    table = {}
    for row in found["subsets"]:
        cells = {}
        for name, part in row["differences"].items():
            bounds = f" {interval(part['interval'])}" if "interval" in part else ""
            cells[name] = f"{part['difference']:+.4f}{bounds}"
        for test in TESTS:
            cells[f"p_{test}"] = _p_value(row[test]["p_value"])
            cells[f"holm_{test}"] = _p_value(row[test].get("p_holm"))
        table[row["subset"]] = cells
    return table


def _p_value(value: float | None) -> str:
    """Three figures; '-' where there is no such test (`all` is not in Holm's family)."""
    return "-" if value is None else f"{value:.3g}"


def _print_transfer(found: dict) -> None:
    at = found["threshold"]
    print(
        f"Threshold from {found['from']} ({found['rule']}): score {at['score']:.4f}, "
        f"P(real) {at['probability']:.4f}"
    )
    print(screen({row["subset"]: row["figures"] for row in found["subsets"]}))
