"""The manual as a whole: every command is one its parser takes, and it builds without a warning."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from support.pages import DOCS, README, ROOT, lines

from hparams.load import RECIPE, load_hparams, read_yaml
from hparams.run_options import RUN_OPTIONS
from hparams.words import read_words
from main import split_words

PAGES = {"README": README} | {path.stem: path for path in sorted(DOCS.glob("*.md"))}
COMMANDS = [
    (name, line) for name, path in PAGES.items() for line in lines(path.read_text(encoding="utf-8"))
]
MODULES = {
    "python evaluation.py": "evaluation",
    "python -m protocols": "protocols.__main__",
    "python -m drift": "drift.__main__",
    "python -m augment": "augment.__main__",
    "python -m models.heads": "models.heads.__main__",
}
OF_OTHERS = ("python O/", "apt-get ", "source ", "uv ", ".venv/bin/", "cat ", "curl ")


@pytest.fixture
def generated(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("generated")


def is_taken(line: str, monkeypatch) -> bool:
    """Whether the program that `line` calls, last of a pipe, accepts its words; parsers exit where
    they do not.
    """
    line = line.rpartition(" | ")[2]
    for start, module in MODULES.items():
        if line.startswith(f"{start} "):
            monkeypatch.setattr(f"{module}.run_command", lambda *_, **__: 0)
            words = shlex.split(line.removeprefix(start), comments=True)
            return importlib.import_module(module).main(words) == 0
    if match := re.match(r"(?:python|torchrun .*?) ?main\.py (.*)", line):
        words = [word.strip("[]") for word in shlex.split(match[1], comments=True)]
        words = [word for word in words if word not in ("<row>", "<column>")]
        if set(words) & {"-h", "--help"}:
            return True
        monkeypatch.chdir(ROOT)
        words, options = split_words(words)
        _, yaml, _ = read_words(words)
        return bool(load_hparams(yaml, options, objects=False, needs_folders=False))
    if match := re.match(r"python -m (benchmarks\.\w+)(.*)", line):
        source = (ROOT / f"{match[1].replace('.', '/')}.py").read_text(encoding="utf-8")
        return all(option in source for option in re.findall(r"--\w+", match[2]))
    if match := re.match(r"bash install\.sh ?(\w*)", line):
        script = (ROOT / "install.sh").read_text(encoding="utf-8")
        return not match[1] or bool(re.search(rf"^  {match[1]}\)", script, re.MULTILINE))
    return line.startswith(OF_OTHERS)


@pytest.mark.parametrize("name, line", COMMANDS)
def test_every_command_of_a_page_is_taken_by_its_parser(name, line, monkeypatch):
    assert is_taken(line, monkeypatch), f"{name}: {line}"


@pytest.mark.parametrize(
    "line",
    [
        "python -m protocols biuld X --data_folder D",
        "python evaluation.py A.csv --bootstap 100",
        "python main.py score w2v_tiny a.wav --treshold 0.4",
        "python -m benchmarks.real_speech --foldr F",
        "bash install.sh tset",
        "rm everything",
    ],
)
def test_a_wrong_command_is_not_taken(line, monkeypatch):
    with pytest.raises((SystemExit, AssertionError, Exception)):
        assert is_taken(line, monkeypatch)


@pytest.mark.parametrize("name", [name for name in PAGES if name != "README"])
def test_a_page_stays_a_page(name):
    assert len(PAGES[name].read_text(encoding="utf-8").splitlines()) <= 250


def test_the_page_of_keys_has_every_key_and_run_option(generated):
    shown = generated.keys()
    assert [key for key in [*read_yaml(RECIPE), *RUN_OPTIONS] if f"| `{key}` |" not in shown] == []


def test_the_page_of_commands_has_every_verb(generated):
    from hparams.verbs import VERBS
    from protocols.__main__ import VERBS as OF_PROTOCOLS

    shown = generated.commands()
    assert all(f"`python main.py {verb.usage}`" in shown for verb in VERBS.values())
    for verb in (*OF_PROTOCOLS, "make demo", "fit", "compare", "rank", "preview", "calibrate"):
        assert f"\n### {verb}\n" in shown
    assert "usage: python -m protocols make demo" in shown and "--p_spoof" in shown


def test_the_page_of_databases_has_every_database(generated):
    from protocols.corpus import corpora

    assert all(f"| {name} |" in generated.databases() for name in corpora())


@pytest.mark.slow
@pytest.mark.needs("mkdocs")
def test_the_manual_builds_strictly_and_asks_nothing_of_others(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "s")]
    run = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    pages = {path.stem: path.read_text("utf-8") for path in (tmp_path / "s").glob("*.html")}
    assert set(pages) >= set(PAGES) - {"README", "index"}
    for name, text in pages.items():
        asked = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*", text)
        assert asked == [], name
        assert "<!-- made:" not in text
    assert (
        "Protocols of ten million rows" in pages["results"] and "freeze_until_step" in pages["keys"]
    )
    listed = re.findall(r"\]\((\w[\w-]*)\.html\)", (tmp_path / "s/llms.txt").read_text())
    assert set(listed) == set(PAGES) - {"README", "index"}
    assert json.loads((tmp_path / "s/search/search_index.json").read_text())["docs"]


@pytest.mark.slow
@pytest.mark.needs("mkdocs")
def test_a_broken_link_fails(tmp_path):
    for name in ("docs", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / "docs/install.md").open("a") as page:
        page.write("\n[nowhere](score.md#no-such-heading)\n")
    build = [sys.executable, "-m", "mkdocs", "build"]
    run = subprocess.run(
        build, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert run.returncode == 1 and "no-such-heading" in run.stderr
