"""The report in a real browser: nothing wider than the window, and readable in the dark."""

import html
import re
import subprocess

import numpy as np
import pytest
from support.needs import find_chromium

import evaluation

BROWSER = find_chromium()
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--virtual-time-budget=3000",
)  # fmt: skip
# loads the page in a frame of a given width, and titles itself with what it measured there
MEASURE = """
<body style="margin:0"><iframe id="f" style="width:{width}px;height:900px;border:0"
 srcdoc="{page}"></iframe><script>
document.getElementById("f").onload = (event) => {{
  const page = event.target.contentDocument, style = getComputedStyle(page.body);
  const small = [...page.querySelectorAll("svg text")].map(
    (text) => text.getBoundingClientRect().height).filter((height) => height > 0);
  const root = page.documentElement, figures = page.querySelectorAll("svg").length;
  const words = page.querySelector(".words");  // the definitions, which must not need scrolling
  document.title = [root.scrollWidth - root.clientWidth
    + words.scrollWidth - words.clientWidth, figures,
    Math.round(Math.min(...small)), style.color, style.backgroundColor].join("|");
}};
</script></body>
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("chromium"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(1)
    with open(folder / "s.csv", "w") as stream:
        stream.write("ID,Score,Label\n")
        for i in range(500):
            label = i % 2 == 0
            score = rng.normal() + 2 * label
            name = f"SUBSET{i % 3}-a_rather_long_file_name_without_any_spaces_{i:06d}"
            stream.write(f'{name},"[0.0, {score}]",{int(label)}\n')
    path = folder / "r.html"
    assert evaluation.main([str(folder / "s.csv"), "--bootstrap", "40", "--report", str(path)]) == 0
    return path


def browse(tmp_path, *arguments):
    return subprocess.run(
        [BROWSER, *FLAGS, f"--user-data-dir={tmp_path}/profile", *arguments],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_the_window_in_both_schemes(report, tmp_path, width, scheme):
    page = report.read_text()
    if scheme == "dark":  # what the media query says when it applies
        page = page.replace("(prefers-color-scheme: dark)", "all").replace(
            "@media print", "@media speech"
        )
    frame = tmp_path / "frame.html"
    frame.write_text(MEASURE.format(width=width, page=html.escape(page, quote=True)))
    out = browse(tmp_path, "--window-size=1400,1000", "--dump-dom", frame.as_uri())
    measured = re.search(r"<title>(.*?)</title>", out).group(1).split("|")
    assert int(measured[0]) == 0 and int(measured[1]) == 6  # nothing sticks out sideways
    assert int(measured[2]) >= 9  # pixels of the smallest text in a figure
    ink, paper = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in measured[3:])
    assert (ink < 200 and paper > 650) if scheme == "light" else (ink > 600 and paper < 120)


def test_page_prints_to_a_pdf(report, tmp_path):
    target = tmp_path / "r.pdf"
    browse(tmp_path, f"--print-to-pdf={target}", "--no-pdf-header-footer", report.as_uri())
    content = target.read_bytes()
    assert content.startswith(b"%PDF") and 1 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 8
