"""The one-page report: a template filled from an evaluation's JSON content and nothing else.

Each number, name and sentence of the JSON carries `data-field`, the path of its field, the numbers
in figures too (only their axes do not), and the whole JSON is in the page
(`<script id="results">`), so that any figure can be traced and read on by a program.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup

from dataio.pages import html, join, render
from metrics import plots
from metrics.measures import MEASURES
from metrics.tables import figure

TEMPLATE = Path(__file__).with_name("report.html")
TILES = ("eer", "roc_auc", "min_dcf", "act_dcf", "cllr", "min_cllr")
COLUMNS = (*TILES, "fpr", "fnr")
SHOWN_SLICES = 60  # rows in the page; the JSON has them all
LOCALISED = (("files",), ("seconds", "spoof"), ("seconds", "bona_fide"), ("threshold",))
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
    body = join((text for section in sections if (text := section(found))), "\n")
    content = json.dumps(found, allow_nan=False).replace("<", "\\u003c")
    title = f"Evaluation of {Path(found['scores']['path']).name}"
    return render(TEMPLATE, title=title, body=body + _footer(found), json=Markup(content))


def localisation_page(found: dict) -> str:
    """The page of `evaluation.py localisation`, made as the other is."""
    sizes = html(
        "{} recordings: {} s spoof and {} s bona fide; called spoof where real - fake &le; {}",
        *(_value(found, *at) for at in LOCALISED),
    )
    notes = join(
        html('<p class="note">{}</p>', _value(found, "notes", place))
        for place in range(len(found["notes"]))
    )
    tables = [html("<h1>Localisation</h1><p>{}</p>{}", sizes, notes)]
    for part, title in (("rates", "Equal error rates"), ("at_threshold", "At the threshold")):
        names = list(found[part][0]["figures"])
        rows = [
            [row["name"], *(_figure_cell(found, part, place, name) for name in names)]
            for place, row in enumerate(found[part])
        ]
        tables.append(html("<h2>{}</h2>", title) + _table(["", *names], rows))
    if found["bootstrap"]:
        tables.append(
            html(
                "<p class='soft'>{} intervals: {} reweightings of files, seed {}</p>",
                *(
                    _value(found, "bootstrap", name)
                    for name in ("confidence", "replicates", "seed")
                ),
            )
        )
    content = json.dumps(found, allow_nan=False).replace("<", "\\u003c")
    body = join(tables, "\n") + _footer(found)
    return render(TEMPLATE, title="Localisation", body=body, json=Markup(content))


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
    text = shown(lookup(found, path), path)
    return html('<{0} data-field="{1}" title="JSON: {1}">{2}</{0}>', tag, path, text)


def _interval(found: dict, *steps: object) -> str:
    """'[low, high]' of a row's interval, or nothing where none was computed."""
    *row, name = steps
    if name not in lookup(found, field(*row)).get("intervals", {}):
        return ""
    low, high = (_value(found, *row, "intervals", name, end) for end in (0, 1))
    return html("<small>[{}, {}]</small>", low, high)


def _figure_cell(found: dict, *steps: object) -> str:
    *row, name = steps
    return _value(found, *row, "figures", name) + _interval(found, *steps)


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    head = join(html("<th>{}</th>", name) for name in heads)
    lines = join(html("<tr>{}</tr>\n", join(html("<td>{}</td>", c) for c in row)) for row in rows)
    return html(
        '<div class="table {}"><table><thead><tr>{}</tr></thead>\n<tbody>{}</tbody></table></div>',
        kind,
        head,
        lines,
    )


def _head(found: dict) -> str:
    everything, scores = found["subsets"][0], found["scores"]
    sizes = html(
        "{} real and {} fake files; threshold P(real) &ge; {}",
        _value(found, "subsets", 0, "real"),
        _value(found, "subsets", 0, "fake"),
        _value(found, "setting", "threshold", "probability"),
    )
    tiles = join(
        html(
            '<div class="tile"><span class="soft">{}</span><b>{}</b>{}</div>',
            name,
            _value(found, "subsets", 0, "figures", name),
            _interval(found, "subsets", 0, name),
        )
        for name in TILES
        if name in everything["figures"]
    )
    notes = join(
        html('<p class="note">{}</p>', _value(found, "notes", place))
        for place in range(len(found["notes"]))
    )
    path = _value(found, "scores", "path")
    lines = [html("<h1>Evaluation of {}</h1>", path), html("<p>{}</p>", sizes)]
    if scores["meta"].get("model"):
        checkpoint = "unknown"
        if scores["meta"].get("checkpoint_sha256"):
            checkpoint = _value(found, "scores", "meta", "checkpoint_sha256", tag="code")
        model = _value(found, "scores", "meta", "model")
        lines.append(html('<p class="soft">model {}, checkpoint {}</p>', model, checkpoint))
    if found["setting"]["bootstrap"]:
        lines.append(html('<p class="soft">{}</p>', _bootstrap(found)))
    tiles = html('<div class="tiles">{}</div>', tiles)
    return join([*lines, _calibration(found), notes, tiles], "\n")


def _bootstrap(found: dict) -> str:
    """`outputs.bootstrap_sentence`, each number with its field."""
    at = ("setting", "bootstrap")
    unit = "files within each class"
    if found["setting"]["bootstrap"]["cluster"] is not None:
        unit = html("whole groups by {}", _value(found, *at, "cluster"))
    return html(
        "{} intervals: {} reweightings of {}, seed {}",
        _value(found, *at, "confidence"),
        _value(found, *at, "replicates"),
        unit,
        _value(found, *at, "seed"),
    )


def _calibration(found: dict) -> str:
    if "calibration" not in found:
        return ""
    part = found["calibration"]
    return html(
        "<p>Calibrated ({}, {}): Cllr {} before, {} after (min {}). P(real) is at prior 0.5.</p>",
        part["method"],
        *(
            _value(found, "calibration", name)
            for name in ("path", "cllr_before", "cllr_after", "min_cllr")
        ),
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
    text = html("<h2>Subsets</h2>") + _table(["subset", "real", "fake", *names], rows)
    if "averages" in found and "eer" in found["averages"]["macro"]:
        means = _pooled_and_macro(found, "subsets", "averages")
        text += html("<p class='soft'>EER: {}</p>", means)
    return text


def _sizes(found: dict, *row: object) -> list[str]:
    """Cells with a row's real and fake files, and its groups where those were drawn."""
    cells = []
    for kind in ("real", "fake"):
        cell = _value(found, *row, kind)
        if "groups" in lookup(found, field(*row)):
            cell += html("<small>{} groups</small>", _value(found, *row, "groups", kind))
        cells.append(cell)
    return cells


def _pooled_and_macro(found: dict, kind: str, *steps: object) -> str:
    without = ""
    if lookup(found, field(*steps, "left_out", "eer")):
        without = html(", {} without an EER left out", _value(found, *steps, "left_out", "eer"))
    return html(
        "pooled {} (all their files, one threshold), macro {} (mean of the {} {}{})",
        _value(found, *steps, "pooled", "eer"),
        _value(found, *steps, "macro", "eer"),
        _value(found, *steps, "rows", "eer"),
        kind,
        without,
    )


def _figures(found: dict) -> str:
    drawn = []
    for name, draw in plots.drawable(found).items():
        if name.startswith("by_"):
            title, path = f"EER by {name[3:]}", field("slices", name[3:], "rows")
        else:
            title, path = CAPTIONS[name]
        drawn.append(
            html(
                "<figure><h3>{}</h3>{}<figcaption>{} JSON: <code>{}</code></figcaption></figure>",
                title,
                Markup(plots.svg(draw, name)),  # matplotlib's, which escapes its texts
                _explained(found, name),
                path,
            )
        )
    return html('<h2>Figures</h2><div class="figures">{}</div>', join(drawn)) if drawn else ""


def _explained(found: dict, name: str) -> str:
    if name in plots.FIGURES:
        return plots.FIGURES[name].__doc__.strip()
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
                row["real_from"],
            ]
            for place, row in enumerate(part["rows"][:SHOWN_SLICES])
        ]
        heads = [column, "subset", "real", "fake", *names, "real files"]
        texts.append(html("<h2>By {}, worst first</h2>", column) + _table(heads, rows, "slices"))
        if len(part["rows"]) > SHOWN_SLICES:
            left = "the worst {} of {} slices; the JSON and the CSV have them all"
            texts.append(html('<p class="soft">' + left + "</p>", SHOWN_SLICES, len(part["rows"])))
        means = _pooled_and_macro(found, "slices", "slices", column, "averages")
        texts.append(html('<p class="soft">EER: {}</p>', means))
    return join(texts, "\n")


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
    systems = join(
        (html("{}: {}", x.upper(), _value(found, "against", x, tag="code")) for x in "ab"), ", "
    )
    if part["cluster"] is not None:
        systems += html("; tests over whole groups by {}", _value(found, "against", "cluster"))
    return html("<h2>Comparison</h2><p class='soft'>{}</p>{}", systems, _table(heads, rows))


def _difference(found: dict, *at: object) -> str:
    """A cell: A - B, its interval if there is one, and the two figures themselves."""
    cell = _value(found, *at, "difference")
    if "interval" in lookup(found, field(*at)):
        low, high = (_value(found, *at, "interval", end) for end in (0, 1))
        cell += html("<small>[{}, {}]</small>", low, high)
    sides = (_value(found, *at, side) for side in "ab")
    return cell + html("<small>A {}, B {}</small>", *sides)


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
    return html(
        "<h2>Carried-over threshold</h2><p class='soft'>From {}, rule {}: score {}</p>{}",
        _value(found, "threshold_transfer", "from", tag="code"),
        part["rule"],
        _value(found, "threshold_transfer", "threshold", "score"),
        _table(["subset", *names], rows),
    )


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
        cards.append(html("<div><h3>{}</h3>{}</div>", title, table))
    return html('<h2>Worst files</h2><div class="figures">{}</div>', join(cards))


def _definitions(found: dict) -> str:
    names = found["subsets"][0]["figures"]
    rows = [[name, MEASURES[name].text, _figure_cell(found, "subsets", 0, name)] for name in names]
    table = _table(["figure", "what it is", "all files"], rows, "words")
    return html("<h2>All figures and their definitions</h2>{}", table)


def _footer(found: dict) -> str:
    versions = join(
        (html("{} {}", name, _value(found, "versions", name)) for name in found["versions"]), ", "
    )
    return html(
        "<footer class='soft'><p>{}</p><p>{}</p><p>Hover over a number for its JSON field; the "
        "JSON is in this page as <code>#results</code>.</p></footer>",
        _value(found, "command", tag="code"),
        versions,
    )
