"""The report: every number in it, those in figures too, is a field of the JSON."""

import json
import re
from html.parser import HTMLParser

import pytest

import evaluation
from metrics.measures import MEASURES
from metrics.plots import FIGURES
from metrics.report import lookup, shown
from tests.metrics.example_scores import write_example

VOID = {"meta", "br", "hr", "img", "input", "link"}
# what the page says with digits of its own, whatever the data
PROSE = {
    *MEASURES,
    *(each.text for each in MEASURES.values()),
    *(draw.__doc__.strip() + " JSON:" for draw in FIGURES.values()),
    "). P(real) is at prior 0.5.",
}


class Page(HTMLParser):
    """The visible texts of a page, each with its elements' attributes from the outermost in."""

    def __init__(self):
        super().__init__()
        self.texts, self.fetched, self.json, self._open = [], [], "", []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        links = [attrs.get(name) for name in ("src", "href", "xlink:href")]
        self.fetched += [link for link in links if link and not link.startswith("#")]
        if tag not in VOID:
            self._open.append((tag, attrs))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        tags = [tag for tag, _ in self._open]
        if "script" in tags:
            self.json += data
        elif "main" in tags and "metadata" not in tags and data.strip():
            self.texts.append((data.strip(), self._open[:]))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with all its sections, parsed, and the JSON beside it."""
    folder = tmp_path_factory.mktemp("report")
    write_example(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert evaluation.main(["calibrate", "A_dev.csv", "--output", "cal.json"]) == 0
        options = ["--calibration", "cal.json", "--against", "B.csv", "--threshold_from"]
        options += ["A_dev.csv", "--protocol", "T.csv", "--by", "Attack", "Language"]
        options += ["--cluster", "Speaker", "--bootstrap", "40", "--confidence", "0.925"]
        files = ["--report", "r.html", "--json", "r.json"]
        assert evaluation.main(["A.csv", *options, *files]) == 0
    page = Page()
    page.text = (folder / "r.html").read_text()
    page.feed(page.text)
    return page, json.loads((folder / "r.json").read_text())


def field_of(elements):
    fields = [attrs["data-field"] for _, attrs in elements if attrs.get("data-field")]
    return fields[-1] if fields else None


def is_in(elements, tag):
    return any(name == tag for name, _ in elements)


def test_the_page_holds_its_json_and_fetches_nothing(report):
    page, found = report
    assert json.loads(page.json) == found
    assert page.fetched == [] and "@import" not in page.text and "url(http" not in page.text
    assert "prefers-color-scheme: dark" in page.text and "@media print" in page.text
    assert page.text.count("<svg") == 8 and found["worst"]["fake"][0]["id"] in page.text
    titles = ("Detection error", "ROC", "Scores by class", "Reliability", "Cost over", "Attack")
    assert all(title in page.text for title in titles)


def test_every_tagged_text_is_its_json_field(report):
    page, found = report
    tagged = [
        (field_of(elements), text)
        for text, elements in page.texts
        if field_of(elements) and not is_in(elements, "svg")
    ]
    assert len(tagged) > 300
    for path, text in tagged:
        assert text == shown(lookup(found, path), path), path


def test_numbers_in_figures_are_their_json_fields_rounded(report):
    page, found = report
    tagged = {}
    for text, elements in page.texts:
        if field_of(elements) and is_in(elements, "svg"):
            number = re.search(r"(\d+\.(\d+))(%?)$", text)
            scale = 100 if number[3] else 1
            tagged[field_of(elements)] = text
            value = scale * lookup(found, field_of(elements))
            assert float(number[1]) == pytest.approx(value, abs=0.51 * 10 ** -len(number[2])), text
    words = ["EER", "AUC", "ECE", "stated", "min", "Bayes,"]
    assert sorted(text.split()[0] for text in tagged.values()) == sorted(words)


def test_no_number_is_without_its_json_field(report):
    """But for the axes of figures, and the page's own words."""
    page, _ = report
    without = {
        text
        for text, elements in page.texts
        if re.search(r"\d", text)
        and not field_of(elements)
        and not any(str(attrs.get("id")).startswith("matplotlib.axis") for _, attrs in elements)
    }
    assert without <= PROSE, without - PROSE


def test_the_comparison_shows_both_systems_own_figures(report):
    page, found = report
    section = page.text.split("<h2>Comparison</h2>")[1].split("<h2>")[0]
    for place in range(len(found["against"]["subsets"])):
        for name in ("eer", "roc_auc", "accuracy", "min_dcf"):
            for each in ("a", "b", "difference", "interval/0"):
                path = f"against/subsets/{place}/differences/{name}/{each}"
                assert f'data-field="{path}"' in section
