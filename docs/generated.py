"""What the manual takes from the code when it is built: an mkdocs hook.

A line `<!-- made: NAME ... -->` of a page is replaced by the text of the function of that name, so
no page can say what the code does not. `llms.txt` is written beside the pages.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MARK = re.compile(r"^<!-- made: (\w+).*-->$", re.MULTILINE)
HELP_COLUMNS = "84"

COMMAND_LINES = {  # as typed -> module
    "python evaluation.py": "evaluation",
    "python -m protocols": "protocols.__main__",
    "python -m drift": "drift.__main__",
    "python -m augment": "augment.__main__",
}


def on_config(config) -> None:
    """Let the toolkit be imported: mkdocs knows this file by its path alone."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))


def on_page_markdown(markdown: str, **_) -> str:
    """Fill the marks of one page."""
    return _MARK.sub(lambda match: MAKERS[match[1]](), markdown)


def on_post_build(config, **_) -> None:
    """`llms.txt`: the pages and what each is about, for programs that read manuals."""
    Path(config["site_dir"], "llms.txt").write_text(llms(Path(config["docs_dir"])), "utf-8")


def keys() -> str:
    """Every key of the recipe and every run option, a table a section."""
    from hparams.keys import sections
    from hparams.run_options import RUN_OPTIONS

    lines = []
    for section in sections():
        verbs = "every verb" if section.verbs is None else ", ".join(section.verbs)
        lines += [f"## {section.title[0].upper()}{section.title[1:]}", "", f"For {verbs}.", ""]
        lines += _table(
            ("key", "default", "what it is"),
            [(f"`{key.name}`", f"`{key.default}`", key.meaning) for key in section.keys],
        )
    lines += ["## Run options", "", "SpeechBrain's, for training; `device` for every verb.", ""]
    lines += _table(
        ("option", "what it is"), [(f"`{name}`", text) for name, text in RUN_OPTIONS.items()]
    )
    return "\n".join(lines)


def commands() -> str:
    """Every command line's help, verb by verb."""
    from hparams.verbs import VERBS

    rows = [(f"`python main.py {verb.usage}`", verb.summary) for verb in VERBS.values()]
    lines = ["## python main.py", "", *_table(("command", "what it does"), rows)]
    lines += ["Their keys: [Keys](keys.md), or `python main.py VERB --help`.", ""]
    for typed, module in COMMAND_LINES.items():
        lines += [f"## {typed}", ""]
        for words in verbs_of(module):
            if words:
                lines += [f"### {' '.join(words)}", ""]
            lines += ["```text", help_of(module, words), "```", ""]
    return "\n".join(lines)


def verbs_of(module: str) -> list[list[str]]:
    """The words that lead to each help of a command line: its verbs, and verbs below them."""
    if module == "evaluation":  # whose first form has no verb
        return [[], *([verb] for verb in importlib.import_module(module).VERBS)]
    found: list[list[str]] = []
    open_ends: list[list[str]] = [[]]
    while open_ends:
        words = open_ends.pop(0)
        found.append(words)
        shown = help_of(module, words)
        if shown.partition("\n\n")[0].endswith(" ..."):  # argparse: a verb has to follow
            verbs = re.findall(r"^    ([\w-]+)(?: |$)", shown, re.MULTILINE)
            open_ends += [[*words, verb] for verb in verbs]
    return found


def help_of(module: str, words: list[str]) -> str:
    """What `--help` after `words` prints, on a screen of `HELP_COLUMNS`."""
    before, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), HELP_COLUMNS
    try:
        with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
            importlib.import_module(module).main([*words, "--help"])
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before
    return shown.getvalue().strip()


def databases() -> str:
    """The databases that `python -m protocols build` knows."""
    from protocols.corpus import corpora
    from protocols.listing import facts

    known = [facts(corpus) for corpus in corpora().values()]
    rows = [
        (fact["name"], fact["contents"], fact["post_training"], f"`{fact['folder']}`", fact["link"])
        for fact in known
    ]
    return "\n".join(
        _table(("database", "holds", "in post-training", "expected folder", "source"), rows)
    )


def results() -> str:
    """benchmarks/RESULTS.md."""
    return (ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8")


def llms(docs: Path) -> str:
    """A line a page, of the table on the first page: its title, its file, what it is for."""
    home = (docs / "index.md").read_text(encoding="utf-8")
    title, about = re.match(r"# (.*)\n\n(.*)", home).groups()
    lines = [f"# {title}", "", f"> {about}", "", "## Pages", ""]
    for wish, pages in re.findall(r"^\| ([^|]+) \| (\[.*) \|$", home, re.MULTILINE):
        for name, file in re.findall(r"\[([^]]+)\]\(([\w-]+)\.md\)", pages):
            lines.append(f"- [{name}]({file}.html): {wish}")
    return "\n".join(lines) + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    cells = [[_plain(cell) for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *cells]]
    return [*lines, ""]


def _plain(cell: str) -> str:
    """A table's cell in which neither a bar nor, outside code, an angle bracket means more."""
    parts = cell.replace("|", "\\|").split("`")
    return "`".join(part if n % 2 else part.replace("<", "&lt;") for n, part in enumerate(parts))


MAKERS: dict[str, Callable[[], str]] = {
    "keys": keys,
    "commands": commands,
    "databases": databases,
    "results": results,
}
