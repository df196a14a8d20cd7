"""The README's Evaluation section: its commands run as written and print what it shows."""

import re
import shlex
from pathlib import Path

import pytest

import evaluation
from tests.metrics.example_scores import write_example

README = Path(__file__).resolve().parent.parent / "README.md"
SECTION = README.read_text(encoding="utf-8").split("\n## Evaluation\n")[1].split("\n## ")[0]
# a block of commands, and the text block right after it if there is one
BLOCKS = re.findall(r"```bash\n(.*?)```\n(?:```text\n(.*?)```)?", SECTION, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("example")
    write_example(path)
    return path


def test_section_shows_its_commands():
    assert len(BLOCKS) == 10 and sum(bool(shown) for _, shown in BLOCKS) == 8


@pytest.mark.slow
def test_commands_run_in_order_and_print_what_the_readme_shows(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for commands, shown in BLOCKS:
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
    names = re.findall(r"!\[.*?\]\((.*?)\)", SECTION)
    assert len(names) == 2
    for name in names:
        content = (README.parent / name).read_bytes()
        assert content.startswith(b"\x89PNG") and len(content) < 300_000
