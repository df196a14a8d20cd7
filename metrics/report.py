"""The one-page report: a template filled from an evaluation's JSON content and nothing else.

Each number carries `data-field`, the path of its JSON field, and the whole JSON is in the page
(`<script id="results">`), so that any figure can be traced and read on by a program.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

from metrics import plots
from metrics.measures import MEASURES
from metrics.tables import figure

TEMPLATE = Path(__file__).with_name("report.html")
TILES = ("eer", "roc_auc", "min_dcf", "act_dcf", "cllr", "min_cllr")
COLUMNS = (*TILES, "fpr", "fnr")
SHOWN_SLICES = 60  # rows in the page; the JSON has them all
CAPTIONS = {
    "det": ("Detection error trade-off", "curves.error"),
    "roc": ("ROC", "curves.error"),
    "histogram": ("Scores by class", "curves.histogram"),
    "reliability": ("Reliability", "curves.reliability"),
    "cost": ("Cost over the threshold", "curves.cost"),
    "subsets": ("EER by subset", "subsets"),
}


def page(found: dict) -> str:
    """The report as HTML text; `found` is what the JSON file holds."""
    sections = (_head, _subsets, _figures, _slices, _against, _transfer, _worst, _definitions)
    body = "\n".join(text for section in sections if (text := section(found)))
    content = json.dumps(found, allow_nan=False).replace("<", "\\u003c")
    title = escape(f"Evaluation of {Path(found['scores']['path']).name}")
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=title, body=body + _footer(found), json=content
    )


def lookup(found: dict, path: str) -> object:
    """The JSON value a `data-field` names: keys and list positions between slashes."""
    value = found
    for step in path.split("/"):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def shown(value: object, path: str = "") -> str:
    """How the JSON value at a path reads in the page: p-values with three figures."""
    if path.rpartition("/")[2] in ("p_value", "p_holm") and value is not None:
        return f"{value:.3g}"
    return figure(math.nan if value is None else value)


def _value(found: dict, *steps: object, tag: str = "span") -> str:
    path = "/".join(str(step) for step in steps)
    text = escape(shown(lookup(found, path), path))
    return f'<{tag} data-field="{escape(path)}" title="JSON: {escape(path)}">{text}</{tag}>'


def _interval(found: dict, *steps: object) -> str:
    """'[low, high]' of a row's interval, or nothing where none was computed."""
    *row, name = steps
    if name not in lookup(found, "/".join(map(str, row))).get("intervals", {}):
        return ""
    low, high = (_value(found, *row, "intervals", name, end) for end in (0, 1))
    return f"<small>[{low}, {high}]</small>"


def _figure_cell(found: dict, *steps: object) -> str:
    *row, name = steps
    return _value(found, *row, "figures", name) + _interval(found, *steps)


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    lines = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>\n" for row in rows)
    return (
        f'<div class="table {kind}"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _head(found: dict) -> str:
    everything, scores = found["subsets"][0], found["scores"]
    sizes = (
        f"{_value(found, 'subsets', 0, 'real')} real and {_value(found, 'subsets', 0, 'fake')} "
        f"fake files; threshold P(real) &ge; "
        f"{_value(found, 'setting', 'threshold', 'probability')}"
    )
    tiles = "".join(
        f'<div class="tile"><span class="soft">{name}</span>'
        f"<b>{_value(found, 'subsets', 0, 'figures', name)}</b>"
        f"{_interval(found, 'subsets', 0, name)}"
        "</div>"
        for name in TILES
        if name in everything["figures"]
    )
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in found["notes"])
    lines = [f"<h1>Evaluation of {escape(Path(scores['path']).name)}</h1>", f"<p>{sizes}</p>"]
    model = scores["meta"].get("model")
    if model:
        sha256 = scores["meta"].get("checkpoint_sha256") or "unknown"
        lines.append(
            f'<p class="soft">model {escape(str(model))}, checkpoint <code>{escape(sha256[:16])}'
            "</code></p>"
        )
    if found["setting"]["bootstrap"]:
        from metrics.outputs import bootstrap_sentence

        sentence = bootstrap_sentence(found["setting"]["bootstrap"])
        lines.append(f'<p class="soft">{escape(sentence)}</p>')
    return "\n".join([*lines, _calibration(found), notes, f'<div class="tiles">{tiles}</div>'])


def _calibration(found: dict) -> str:
    if "calibration" not in found:
        return ""
    part = found["calibration"]
    return (
        f"<p>Calibrated ({escape(part['method'])}, {escape(Path(part['path']).name)}): Cllr "
        f"{_value(found, 'calibration', 'cllr_before')} before, "
        f"{_value(found, 'calibration', 'cllr_after')} after "
        f"(min {_value(found, 'calibration', 'min_cllr')}). P(real) is at prior 0.5.</p>"
    )


def _subsets(found: dict) -> str:
    names = [name for name in COLUMNS if name in found["subsets"][0]["figures"]]
    names = names or list(found["subsets"][0]["figures"])
    rows = [
        [
            escape(row["subset"]),
            _value(found, "subsets", place, "real"),
            _value(found, "subsets", place, "fake"),
            *(_figure_cell(found, "subsets", place, name) for name in names),
        ]
        for place, row in enumerate(found["subsets"])
    ]
    text = "<h2>Subsets</h2>" + _table(["subset", "real", "fake", *names], rows)
    if "averages" in found and "eer" in found["averages"]["macro"]:
        means = _pooled_and_macro(found, "subsets", "averages")
        text += f"<p class='soft'>EER: {means}</p>"
    return text


def _pooled_and_macro(found: dict, kind: str, *steps: object) -> str:
    without = ""
    if lookup(found, "/".join([*map(str, steps), "left_out", "eer"])):
        without = f", {_value(found, *steps, 'left_out', 'eer')} without an EER left out"
    return (
        f"pooled {_value(found, *steps, 'pooled', 'eer')} (all their files, one threshold), "
        f"macro {_value(found, *steps, 'macro', 'eer')} "
        f"(mean of the {_value(found, *steps, 'rows', 'eer')} {kind}{without})"
    )


def _figures(found: dict) -> str:
    drawn = []
    for name, draw in plots.drawable(found).items():
        if name.startswith("by_"):
            title, field = f"EER by {name[3:]}", f"slices/{name[3:]}/rows"
        else:
            title, field = CAPTIONS[name]
        drawn.append(
            f"<figure><h3>{escape(title)}</h3>{plots.svg(draw, name)}"
            f"<figcaption>{_explained(found, name)} JSON: <code>{escape(field)}</code></figcaption>"
            "</figure>"
        )
    return f'<h2>Figures</h2><div class="figures">{"".join(drawn)}</div>' if drawn else ""


def _explained(found: dict, name: str) -> str:
    if name in plots.FIGURES:
        return escape(plots.FIGURES[name].__doc__.strip())
    intervals = found["setting"]["bootstrap"]
    return "Lines are intervals." if intervals else ""


def _slices(found: dict) -> str:
    texts = []
    for column, part in found.get("slices", {}).items():
        names = list(part["rows"][0]["figures"]) if part["rows"] else []
        rows = [
            [
                escape(row["value"]),
                escape(row["subset"]),
                *(
                    _value(found, "slices", column, "rows", place, size)
                    for size in ("real", "fake")
                ),
                *(_figure_cell(found, "slices", column, "rows", place, name) for name in names),
                escape(row["real_from"]),
            ]
            for place, row in enumerate(part["rows"][:SHOWN_SLICES])
        ]
        heads = [escape(column), "subset", "real", "fake", *names, "real files"]
        texts.append(f"<h2>By {escape(column)}, worst first</h2>" + _table(heads, rows))
        means = _pooled_and_macro(found, "slices", "slices", column, "averages")
        texts.append(f'<p class="soft">EER: {means}</p>')
    return "\n".join(texts)


def _against(found: dict) -> str:
    if "against" not in found:
        return ""
    part, rows = found["against"], []
    names = list(part["subsets"][0]["differences"])
    for place, row in enumerate(part["subsets"]):
        cells = [escape(row["subset"])]
        for name in names:
            at = ("against", "subsets", place, "differences", name)
            low, high = (_value(found, *at, "interval", end) for end in (0, 1))
            cells.append(f"{_value(found, *at, 'difference')}<small>[{low}, {high}]</small>")
        for test in ("delong", "mcnemar"):
            at = ("against", "subsets", place, test)
            cells.append(_value(found, *at, "p_value"))
            cells.append(_value(found, *at, "p_holm") if "p_holm" in row[test] else "-")
        rows.append(cells)
    heads = ["A - B", *names, "p DeLong", "Holm", "p McNemar", "Holm"]
    systems = f"A: <code>{escape(part['a'])}</code>, B: <code>{escape(part['b'])}</code>"
    return f"<h2>Comparison</h2><p class='soft'>{systems}</p>" + _table(heads, rows)


def _transfer(found: dict) -> str:
    if "threshold_transfer" not in found:
        return ""
    part = found["threshold_transfer"]
    names = list(part["subsets"][0]["figures"])
    rows = [
        [
            escape(row["subset"]),
            *(
                _value(found, "threshold_transfer", "subsets", place, "figures", name)
                for name in names
            ),
        ]
        for place, row in enumerate(part["subsets"])
    ]
    origin = (
        f"<p class='soft'>From <code>{escape(part['from'])}</code>, rule {escape(part['rule'])}: "
        f"score {_value(found, 'threshold_transfer', 'threshold', 'score')}</p>"
    )
    return "<h2>Carried-over threshold</h2>" + origin + _table(["subset", *names], rows)


def _worst(found: dict) -> str:
    if "worst" not in found:
        return ""
    titles = {"real": "Real files with the lowest scores", "fake": "Fake files with the highest"}
    cards = []
    for side, title in titles.items():
        rows = [
            [
                f"<code>{escape(row['id'])}</code>",
                _value(found, "worst", side, place, "score"),
                _value(found, "worst", side, place, "p_real"),
            ]
            for place, row in enumerate(found["worst"][side])
        ]
        table = _table(["ID", "score", "P(real)"], rows, "long")
        cards.append(f"<div><h3>{title}</h3>{table}</div>")
    return f'<h2>Worst files</h2><div class="figures">{"".join(cards)}</div>'


def _definitions(found: dict) -> str:
    names = found["subsets"][0]["figures"]
    rows = [
        [escape(name), escape(MEASURES[name].text), _figure_cell(found, "subsets", 0, name)]
        for name in names
    ]
    table = _table(["figure", "what it is", "all files"], rows, "words")
    return f"<h2>All {len(rows)} figures and their definitions</h2>{table}"


def _footer(found: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"<footer class='soft'><p><code>{escape(found['command'])}</code></p>"
        f"<p>{escape(versions)}</p><p>Hover over a number for its JSON field; the JSON is in this "
        "page as <code>#results</code>.</p></footer>"
    )
