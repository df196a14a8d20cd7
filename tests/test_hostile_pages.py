"""Pages made from strangers' files hold their words and none of their markup."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from support.drift_world import World
from support.evaluation import run, write_scores

from dataio.schema import COLUMNS, UserError
from drift.comparison import Request, compare
from drift.embeddings import embedding_set
from drift.reference import arrays_of, fit_reference, load_reference
from drift.report import page

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">\'"></style></title>&{{7*7}}'
TAGS = set(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "h1",
        "h2",
        "h3",
        "p",
        "b",
        "div",
        "span",
        "small",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "figure",
        "figcaption",
        "footer",
        "details",
        "summary",
        "svg",
        "g",
        "path",
        "line",
        "rect",
        "circle",
        "polygon",
        "polyline",
        "text",
        "tspan",
        "defs",
        "use",
        "clippath",
        "a",
        "script",
        "metadata",
        "rdf:rdf",
        "cc:work",
        "dc:type",
        "dc:date",
        "dc:format",
        "dc:creator",
        "cc:agent",
        "dc:title",
        "image",
        "lineargradient",
        "stop",
    ]
)


class Markup(HTMLParser):
    """The tags and attributes of a page, and the text that is shown."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.scripts, self.attributes, self.text = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        if tag == "script":
            self.scripts.append(dict(attributes).get("type"))

    def handle_data(self, data):
        self.text.append(data)


def assert_holds_words_alone(text: str) -> None:
    found = Markup(text)
    assert found.tags <= TAGS
    assert set(found.scripts) <= {"application/json"}
    assert not [a for a in found.attributes if a[1].startswith("on") or "script:" in a[2].lower()]
    assert not [a for a in found.attributes if a[1] == "src" or a[1] == "href" and a[2][:1] != "#"]
    policies = [value for tag, _, value in found.attributes if tag == "meta"]
    assert any(value.startswith("default-src 'none'") for value in policies)
    words = "".join(found.text)
    assert "<script>alert(1)</script>" in words and "{{7*7}}" in words


def hostile(sample, name):
    """Every text of a sample holds markup; its numbers stay."""
    words = np.array([f"{HOSTILE}{i % 2}" for i in range(len(sample))])
    return replace(
        sample,
        ids=np.array([f"{HOSTILE}{name}{i}" for i in range(len(sample))]),
        columns={HOSTILE: words, "AudioEncoding": words, "SampleRate": words},
        meta={**dict.fromkeys(sample.meta, HOSTILE), "sample_rate": 16000, HOSTILE: HOSTILE},
        name=HOSTILE + name,
    )


@pytest.fixture(scope="module")
def reference():
    return fit_reference(hostile(World(4).draw(300, np.random.default_rng(0), name="r"), "r"))


def test_the_drift_page_holds_no_markup_of_its_files(reference):
    incoming = hostile(World(4).draw(120, np.random.default_rng(1), name="i"), "i")
    request = Request(by=[HOSTILE], window="40", draws=100)
    assert_holds_words_alone(page(compare(reference, incoming, request)))


@pytest.mark.parametrize(
    "field", ["seed", "total_rows", "scale.rows", "scale.bandwidth", "scale.score_mean", "version"]
)
def test_a_number_of_a_reference_that_is_none_is_refused(reference, tmp_path, field):
    arrays = arrays_of(reference)
    header = json.loads(str(arrays["header"]))
    *above, name = field.split(".")
    (header["scale"] if above else header)[name] = HOSTILE
    np.savez(tmp_path / "r.npz", **{**arrays, "header": np.array(json.dumps(header))})
    with pytest.raises(UserError, match="r.npz"):
        load_reference(tmp_path / "r.npz")


def test_the_evaluation_page_holds_no_markup_of_its_files(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 80)
    ids = [f"{HOSTILE}{i % 2}-{i}" for i in range(80)]
    for name in ("a.csv", "b.csv"):
        write_scores(tmp_path / name, rng.normal(size=80) + labels, labels, ids)
        meta = dict.fromkeys(("model", "checkpoint_sha256", "engine"), HOSTILE)
        (tmp_path / name).with_suffix(".meta.json").write_text(json.dumps(meta))
    with open("t.csv", "w", newline="") as stream:
        import csv

        writer = csv.writer(stream)
        writer.writerow([*COLUMNS, HOSTILE])
        for i, key in enumerate(ids):
            label = "real" if labels[i] else "fake"
            cells = [key, label, 1.0, 16000, "$ROOT/a", HOSTILE, f"{HOSTILE}{i % 3}", "test"]
            writer.writerow([*cells, 1, "PCM_S", 16, "EN", f"{HOSTILE}{i % 2}"])
    words = ["a.csv", "--against", "b.csv", "--protocol", "t.csv", "--by", "Speaker", "Attack"]
    status, _, err = run(capsys, *words, "--bootstrap", "50", "--report", "r.html")
    assert (status, err) == (0, "")
    assert_holds_words_alone((tmp_path / "r.html").read_text())


def test_a_words_of_markup_that_slips_past_the_pieces_is_escaped_as_a_whole(tmp_path):
    from dataio.pages import html, join, render

    template = tmp_path / "t.html"
    template.write_text("<p>{{ body }}</p>{{ policy }}")
    assert render(template, body="<script>").startswith("<p>&lt;script&gt;</p>")
    assert join(["<i>", html("<b>{}</b>", "<u>")]) == "&lt;i&gt;<b>&lt;u&gt;</b>"


def test_no_room_writes_html_by_hand():
    """An f-string with a tag in it is markup that nothing escaped."""
    from pathlib import Path

    root = Path(__file__).parents[1]
    pages = ["drift/report.py", "drift/charts.py", "metrics/report.py"]
    assert not [p for p in pages if re.search(r"""f["']+[^"'\n]*<[a-z/]""", (root / p).read_text())]


def test_embeddings_with_markup_are_read_byte_for_byte():
    sample = embedding_set(np.ones((1, 2)), ids=np.array([HOSTILE]))
    assert sample.ids[0] == HOSTILE
