"""One self-contained HTML page of a comparison: no script, no font, no request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dataio.pages import html, join, render
from dataio.whole_files import write_text
from drift import __version__, charts, outputs
from drift.comparison import Comparison
from drift.subsets import Part

_PAGE = Path(__file__).with_name("report.html")
_MAP_POINTS = 700  # of each side, drawn by the comparison's seed
_BARS = 20
_LEADING = ("status", "adjusted p", "p")  # what a narrow screen shows beside the name


def write_report(path: str | Path, comparison: Comparison) -> None:
    """Write the page, whole or not at all."""
    write_text(path, page(comparison))


def page(comparison: Comparison) -> str:
    """The page as text."""
    parts = (
        _head(comparison),
        _distances(comparison),
        _windows(comparison),
        _slices(comparison),
        _map_and_dimensions(comparison),
        _classes(comparison),
        _conditions(comparison),
        _files(comparison),
        _footer(comparison),
    )
    title = f"Drift of {comparison.incoming.name}"
    return render(_PAGE, title=title, body=join(filter(None, parts), "\n"))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself, what matters most first; a status gets its colour."""
    rows = [list(row) for row in rows]
    leading = [heads.index(name) for name in _LEADING if name in heads]
    order = [0, *leading, *(i for i in range(1, len(heads)) if i not in leading)]
    kept = [i for i in order if i == 0 or any(row[i] != "-" for row in rows)]
    head = join(html("<th>{}</th>", heads[i]) for i in kept)
    body = join(html("<tr>{}</tr>", join(_cell(row[i]) for i in kept)) for row in rows)
    return html(
        '<div class="table" tabindex="0"><table><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        head,
        body,
    )


def _cell(words: str) -> str:
    if words in ("ok", "warn", "alarm", "insufficient"):
        return html('<td class="state state-{0}">{0}</td>', words)
    return html("<td>{}</td>", words)


def _figure(title: str, drawing: str, caption: str) -> str:
    return html(
        "<figure><h3>{}</h3>{}<figcaption>{}</figcaption></figure>", title, drawing, caption
    )


def _head(comparison: Comparison) -> str:
    reference, incoming = comparison.reference, comparison.incoming
    notes = join(html("<p>{}</p>", note) for note in comparison.notes)
    eer = ""
    if any(np.isfinite(comparison.eer)):
        before, now = (outputs.percent(value) for value in comparison.eer)
        eer = html(
            "<p>EER where labels are known: {} in the reference, {} in what arrived.</p>",
            before,
            now,
        )
    status, _, words = outputs.headline(comparison).partition(": ")
    return html(
        """<h1>Drift of {}</h1>
<p class="soft">{} utterances against {} of
{}; {} others of it fixed the scale.</p>
<div class="verdict state-{}"><b>{}</b>
<p>{}.</p>{}{}</div>""",
        incoming.name,
        len(incoming),
        len(reference.sample),
        reference.sample.name,
        reference.scale.rows,
        comparison.status,
        status,
        words,
        eer,
        notes,
    )


def _distances(comparison: Comparison) -> str:
    rows = outputs.result_rows(comparison.results)
    return html(
        """<h2>Distances</h2>
{}
<p class="soft">Every distance between finite samples is above zero by chance; the null is what
relabelled rows of the same sizes show, and the effect is the value less its median.</p>""",
        _table(outputs.RESULT_HEADS, rows),
    )


def _windows(comparison: Comparison) -> str:
    windows = comparison.windows
    if windows is None or not windows.parts:
        return ""
    parts = windows.parts
    names = [part.name for part in parts]
    decisive = charts.alarm_line(
        names,
        np.array([part.p for part in parts]),
        windows.level,
        [part.status for part in parts],
        windows.raised,
        title="p of each window, and where it alarms",
        axes=("windows, oldest to newest", "p"),
    )
    band = " Shaded: an alarm of the window." if windows.level else ""
    ring = " A ring: the rule was met there." if any(windows.raised) else ""
    rule = (
        f"p of each window over its distances together. {windows.status.upper()}: "
        f"{windows.note or outputs.windows_rule(windows)}{outputs.counted_rows(comparison)}."
        f"{band}{ring}"
    )
    figures = _figure("What decides", decisive, rule) + _distance_over_time(parts, names)
    table = _table(outputs.part_heads(parts, "window"), outputs.part_rows(parts))
    return html('<h2>Over time</h2><div class="grid">{}</div>{}', figures, table)


def _distance_over_time(parts: Sequence[Part], names: Sequence[str]) -> str:
    firsts = [part.results[0] for part in parts]
    drawing = charts.band_line(
        names,
        np.array([result.value for result in firsts]),
        np.array([result.null.get(0.05, np.nan) for result in firsts]),
        np.array([result.null.get(0.95, np.nan) for result in firsts]),
        title=f"{firsts[0].name} of each window over the band of equal samples",
        axes=("windows, oldest to newest", f"{firsts[0].name}, {firsts[0].unit}"),
    )
    caption = (
        f"Band: 5 % to 95 % of equal samples. {firsts[0].name} alone, which does not decide: a "
        "window alarms by its p."
    )
    return _figure("Distance of each window", drawing, caption)


def _slices(comparison: Comparison) -> str:
    blocks = []
    for column, parts in comparison.slices.items():
        ordered = sorted(parts, key=_by_effect)
        shown = ordered[:_BARS]
        first = shown[0].results[0]
        drawing = charts.bars(
            [f"{part.name} ({part.rows})" for part in shown],
            [part.results[0].effect for part in shown],
            [part.interval for part in shown],
            [part.status for part in shown],
            title=f"{first.name} effect of each {column}",
            unit=f"{first.name} effect, {first.unit}",
        )
        caption = "Whiskers: 95 % jackknife interval; colour: status after Benjamini-Hochberg."
        if len(ordered) > len(shown):
            caption += f" The {len(shown)} largest of {len(ordered)}."
        table = _table(outputs.part_heads(ordered, column), outputs.part_rows(ordered))
        figure = _figure(f"{first.name} effect of each {column}", drawing, caption)
        blocks.append(html('<h2>By {}</h2><div class="grid">{}</div>{}', column, figure, table))
    return join(blocks, "\n")


def _by_effect(part: Part) -> float:
    effect = part.results[0].effect
    return -effect if np.isfinite(effect) else np.inf


def _map_and_dimensions(comparison: Comparison) -> str:
    reference, incoming = comparison.reference, comparison.incoming
    if len(reference.scale.components) < 2:
        return ""
    plane = reference.scale.components[:2].T
    rng = np.random.default_rng([comparison.request.seed, 11])
    sides, drawn = [], []
    for name, rows in (
        ("reference", reference.coordinates),
        ("incoming", reference.scale.standardise(incoming.embeddings)),
    ):
        chosen = rng.choice(len(rows), min(_MAP_POINTS, len(rows)), replace=False)
        sides.append((name, rows[chosen] @ plane, name))
        if len(chosen) < len(rows):
            drawn.append(f"{len(chosen)} of {len(rows):,} {name} points drawn.")
    names = ("first component", "second component")
    drawing, beyond = charts.scatter(sides, title="PCA map", axes=names)
    if beyond:
        drawn.append(f"{beyond} beyond the frame, crosses on its border.")
    caption = html(
        '<span class="key reference"></span>reference<span class="key incoming"></span>incoming; '
        "axes are the reference's first two principal components, in its own units. "
        "What moves across them is not seen here. {}",
        " ".join(drawn),
    )
    figures = [
        _figure("Map", drawing, caption),
        _top_dimensions(comparison),
    ]
    return html('<h2>Where</h2><div class="grid">{}</div>', join(figures))


def _top_dimensions(comparison: Comparison) -> str:
    for result in comparison.results:
        top = result.details.get("top_dimensions")
        if top:
            drawing = charts.bars(
                [f"dimension {entry['dimension']}" for entry in top],
                [entry["value"] for entry in top],
                [(0.0, entry["null_95"]) for entry in top],
                ["alarm" if entry["value"] > entry["null_95"] else "ok" for entry in top],
                title=f"dimensions with the largest {result.name}",
                unit=f"{result.name}, {result.unit}",
            )
            caption = "Line: up to the 95 % quantile of equal samples, for that dimension alone."
            return _figure("Top dimensions", drawing, caption)
    return ""


def _classes(comparison: Comparison) -> str:
    classes = comparison.classes
    if classes is None:
        return ""
    rows = outputs.part_rows(classes.parts)
    return html(
        """<h2>Within the predicted classes</h2>
<p>Predicted fake: {} of the reference,
{} of what arrived (p = {}).
{}.</p>
{}""",
        outputs.percent(classes.share_reference),
        outputs.percent(classes.share_incoming),
        outputs.number(classes.mix_p),
        classes.reading.capitalize(),
        _table(outputs.part_heads(classes.parts, "class"), rows),
    )


def _conditions(comparison: Comparison) -> str:
    if not comparison.conditions:
        return ""
    rows = [
        [c.name, c.reference, c.incoming, outputs.number(c.distance), outputs.number(c.p)]
        for c in comparison.conditions
    ]
    heads = ["property", "reference", "incoming", "distance", "p"]
    return html("<h2>The signal itself</h2>{}", _table(heads, rows))


def _files(comparison: Comparison) -> str:
    if not comparison.drifted:
        return ""
    rows = [
        [f.id, outputs.number(f.distance), outputs.number(f.ratio), outputs.number(f.p),
         outputs.number(f.q), outputs.number(f.score)]
        for f in comparison.drifted
    ]  # fmt: skip
    heads = ["ID", "distance", "x reference", "p", "adjusted p", "score"]
    return html(
        '<h2>Most drifted files</h2>{}<p class="soft">Distance to the fifth nearest reference '
        "utterance; score is the real-minus-fake logit difference.</p>",
        _table(heads, rows),
    )


def _footer(comparison: Comparison) -> str:
    meta = comparison.reference.sample.meta
    told = ", ".join(f"{key} {meta[key]}" for key in sorted(meta) if key != "checkpoint_sha256")
    checkpoint = str(meta.get("checkpoint_sha256", "unknown"))[:12]
    return html(
        "<footer>Checkpoint {}; {}. Reference seed {}. Toolkit {}.</footer>",
        checkpoint,
        told or "no provenance",
        comparison.reference.seed,
        __version__,
    )
