"""The manual's page on evaluation: its commands run as written and print what it shows."""

import re
import shlex

import pytest
from support.pages import DOCS, blocks, page

import evaluation
from tests.metrics.example_scores import write_example

PAGE = page("evaluation")
BLOCKS = blocks(PAGE, "bash")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("example")
    write_example(path)
    return path


def test_the_page_shows_its_commands():
    assert len(BLOCKS) == 10 and sum(bool(block.shown) for block in BLOCKS) == 8


@pytest.mark.slow
def test_commands_run_in_order_and_print_what_the_page_shows(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for _, commands, shown in BLOCKS:
        for line in commands.strip().splitlines():
            words = shlex.split(line)
            assert words[:2] == ["python", "evaluation.py"]
            assert evaluation.main(words[2:]) == 0, line
        printed = capsys.readouterr().out
        if shown:
            assert printed.rstrip() == shown.rstrip(), commands
    assert (folder / "report.html").stat().st_size > 100_000
    assert {path.name for path in (folder / "figures").glob("*.pdf")} >= {"det.pdf", "roc.pdf"}


def test_pictures_of_the_report_are_there_and_small():
    names = re.findall(r"!\[.*?\]\((.*?)\)", PAGE)
    assert len(names) == 2
    for name in names:
        content = (DOCS / name).read_bytes()
        assert content.startswith(b"\x89PNG") and len(content) < 300_000
