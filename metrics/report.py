"""The one-page report: a template filled from an evaluation's JSON content and nothing else.

Each number, name and sentence of the JSON carries `data-field`, the path of its field, the numbers
in figures too (only their axes do not), and the whole JSON is in the page
(`<script id="results">`), so that any figure can be traced and read on by a program.
"""

from __future__ import annotations

import json
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


def field(*steps: object) -> str:
    """The path of a JSON field: keys and list positions between slashes, those in keys escaped.

    The escapes are those of JSON pointers (RFC 6901): ~1 for a slash, ~0 for a tilde.
    """
    return "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def lookup(found: dict, path: str) -> object:
    """The JSON value a `data-field` names."""
    value = found
    for step in path.split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


READ_AS = {  # fields that read otherwise than as a text or a number of four decimals
    "p_value": "{:.3g}".format,
    "p_holm": "{:.3g}".format,
    "confidence": lambda share: f"{100 * share:g}%",
    "path": lambda path: Path(path).name,
    "checkpoint_sha256": lambda sha256: sha256[:16],
}


def shown(value: object, path: str = "") -> str:
    """How the JSON value at a path reads in the page."""
    read = READ_AS.get(path.rpartition("/")[2])
    return read(value) if read and value is not None else figure(value)


def _value(found: dict, *steps: object, tag: str = "span") -> str:
    path = field(*steps)
    text = escape(shown(lookup(found, path), path))
    return f'<{tag} data-field="{escape(path)}" title="JSON: {escape(path)}">{text}</{tag}>'


def _interval(found: dict, *steps: object) -> str:
    """'[low, high]' of a row's interval, or nothing where none was computed."""
    *row, name = steps
    if name not in lookup(found, field(*row)).get("intervals", {}):
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
    notes = "".join(
        f'<p class="note">{_value(found, "notes", place)}</p>'
        for place in range(len(found["notes"]))
    )
    lines = [f"<h1>Evaluation of {_value(found, 'scores', 'path')}</h1>", f"<p>{sizes}</p>"]
    if scores["meta"].get("model"):
        checkpoint = "unknown"
        if scores["meta"].get("checkpoint_sha256"):
            checkpoint = _value(found, "scores", "meta", "checkpoint_sha256", tag="code")
        model = _value(found, "scores", "meta", "model")
        lines.append(f'<p class="soft">model {model}, checkpoint {checkpoint}</p>')
    if found["setting"]["bootstrap"]:
        lines.append(f'<p class="soft">{_bootstrap(found)}</p>')
    return "\n".join([*lines, _calibration(found), notes, f'<div class="tiles">{tiles}</div>'])


def _bootstrap(found: dict) -> str:
    """`outputs.bootstrap_sentence`, each number with its field."""
    at = ("setting", "bootstrap")
    unit = "files within each class"
    if found["setting"]["bootstrap"]["cluster"] is not None:
        unit = f"whole groups by {_value(found, *at, 'cluster')}"
    return (
        f"{_value(found, *at, 'confidence')} intervals: {_value(found, *at, 'replicates')} "
        f"resamplings of {unit}, seed {_value(found, *at, 'seed')}"
    )


def _calibration(found: dict) -> str:
    if "calibration" not in found:
        return ""
    part = found["calibration"]
    return (
        f"<p>Calibrated ({escape(part['method'])}, {_value(found, 'calibration', 'path')}): Cllr "
        f"{_value(found, 'calibration', 'cllr_before')} before, "
        f"{_value(found, 'calibration', 'cllr_after')} after "
        f"(min {_value(found, 'calibration', 'min_cllr')}). P(real) is at prior 0.5.</p>"
    )


def _subsets(found: dict) -> str:
    names = [name for name in COLUMNS if name in found["subsets"][0]["figures"]]
    names = names or list(found["subsets"][0]["figures"])
    rows = [
        [
            _value(found, "subsets", place, "subset"),
            *_sizes(found, "subsets", place),
            *(_figure_cell(found, "subsets", place, name) for name in names),
        ]
        for place in range(len(found["subsets"]))
    ]
    text = "<h2>Subsets</h2>" + _table(["subset", "real", "fake", *names], rows)
    if "averages" in found and "eer" in found["averages"]["macro"]:
        means = _pooled_and_macro(found, "subsets", "averages")
        text += f"<p class='soft'>EER: {means}</p>"
    return text


def _sizes(found: dict, *row: object) -> list[str]:
    """Cells with a row's real and fake files, and its groups where those were drawn."""
    cells = []
    for kind in ("real", "fake"):
        cell = _value(found, *row, kind)
        if "groups" in lookup(found, field(*row)):
            cell += f"<small>{_value(found, *row, 'groups', kind)} groups</small>"
        cells.append(cell)
    return cells


def _pooled_and_macro(found: dict, kind: str, *steps: object) -> str:
    without = ""
    if lookup(found, field(*steps, "left_out", "eer")):
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
            title, path = f"EER by {name[3:]}", field("slices", name[3:], "rows")
        else:
            title, path = CAPTIONS[name]
        drawn.append(
            f"<figure><h3>{escape(title)}</h3>{plots.svg(draw, name)}"
            f"<figcaption>{_explained(found, name)} JSON: <code>{escape(path)}</code></figcaption>"
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
                _value(found, "slices", column, "rows", place, "value"),
                _value(found, "slices", column, "rows", place, "subset"),
                *_sizes(found, "slices", column, "rows", place),
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
        cells = [_value(found, "against", "subsets", place, "subset")]
        cells += [_difference(found, "against", "subsets", place, "differences", n) for n in names]
        for test in ("delong", "mcnemar"):
            at = ("against", "subsets", place, test)
            cells.append(_value(found, *at, "p_value"))
            cells.append(_value(found, *at, "p_holm") if "p_holm" in row[test] else "-")
        rows.append(cells)
    heads = ["A - B", *names, "p DeLong", "Holm", "p McNemar", "Holm"]
    systems = ", ".join(f"{x.upper()}: {_value(found, 'against', x, tag='code')}" for x in "ab")
    if part["cluster"] is not None:
        systems += f"; tests over whole groups by {_value(found, 'against', 'cluster')}"
    return f"<h2>Comparison</h2><p class='soft'>{systems}</p>" + _table(heads, rows)


def _difference(found: dict, *at: object) -> str:
    """A cell: A - B, its interval if there is one, and the two figures themselves."""
    cell = _value(found, *at, "difference")
    if "interval" in lookup(found, field(*at)):
        low, high = (_value(found, *at, "interval", end) for end in (0, 1))
        cell += f"<small>[{low}, {high}]</small>"
    return f"{cell}<small>A {_value(found, *at, 'a')}, B {_value(found, *at, 'b')}</small>"


def _transfer(found: dict) -> str:
    if "threshold_transfer" not in found:
        return ""
    part = found["threshold_transfer"]
    names = list(part["subsets"][0]["figures"])
    rows = [
        [
            _value(found, "threshold_transfer", "subsets", place, "subset"),
            *(
                _value(found, "threshold_transfer", "subsets", place, "figures", name)
                for name in names
            ),
        ]
        for place in range(len(part["subsets"]))
    ]
    origin = (
        f"<p class='soft'>From {_value(found, 'threshold_transfer', 'from', tag='code')}, "
        f"rule {escape(part['rule'])}: "
        f"score {_value(found, 'threshold_transfer', 'threshold', 'score')}</p>"
    )
    return "<h2>Carried-over threshold</h2>" + origin + _table(["subset", *names], rows)


def _worst(found: dict) -> str:
    if "worst" not in found:
        return ""
    titles = {
        "real": "Real files with the lowest scores",
        "fake": "Fake files with the highest scores",
    }
    cards = []
    for side, title in titles.items():
        rows = [
            [
                _value(found, "worst", side, place, "id", tag="code"),
                _value(found, "worst", side, place, "score"),
                _value(found, "worst", side, place, "p_real"),
            ]
            for place in range(len(found["worst"][side]))
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
    return f"<h2>All figures and their definitions</h2>{table}"


def _footer(found: dict) -> str:
    versions = ", ".join(
        f"{escape(name)} {_value(found, 'versions', name)}" for name in found["versions"]
    )
    return (
        f"<footer class='soft'><p>{_value(found, 'command', tag='code')}</p>"
        f"<p>{versions}</p><p>Hover over a number for its JSON field; the JSON is in this "
        "page as <code>#results</code>.</p></footer>"
    )
