"""What `python main.py --help`, `VERB --help` and `--help all` print: read from the recipe."""

from __future__ import annotations

import shutil
import textwrap

from hparams.keys import Section, model_names, sections, sections_of
from hparams.run_options import RUN_OPTIONS
from hparams.verbs import TRAIN, VERBS

HELP = ("-h", "--help")
SHORT = ("device", "noprogressbar")  # run options that a verb's help explains
INDENT = 30  # columns before the meaning of a key


def asked_for(arguments: list[str]) -> str | None:
    """The help that the command line asks for, or None.

    `--help` alone gives the verbs, `VERB --help` what matters to it, `--help all` every key.
    """
    if arguments and not set(HELP) & set(arguments):
        return None
    words = [word for word in arguments if word not in HELP]
    if "all" in words:
        return every_key()
    if not words:
        return overview()
    return of_verb(words[0] if words[0] in VERBS else TRAIN)


def overview() -> str:
    """The verbs, a line each, and where to read on."""
    verbs = [(name if name != TRAIN else "(none)", verb.summary) for name, verb in VERBS.items()]
    more = [
        ("VERB --help", "its arguments and keys (`train --help`: those of training)"),
        ("--help all", "every key"),
    ]
    return "\n".join([
        "Train, fine-tune and score speech-deepfake detectors.",
        "",
        "python main.py [VERB] MODEL ... [--key value ...]",
        *_table(verbs),
        "",
        _model_line(),
        "torchrun --standalone --nproc-per-node=N main.py ... runs a verb on N GPUs.",
        "",
        *_table(more),
    ])  # fmt: skip


def of_verb(name: str) -> str:
    """How a verb is written, and the keys that matter to it with default, unit and meaning."""
    verb = VERBS[name]
    return "\n".join([
        f"python main.py {verb.usage} [--key value ...]",
        *_filled(f"{verb.summary[0].upper()}{verb.summary[1:]}."),
        "Keys stand with their defaults; a model's own YAML may have others.",
        "",
        _model_line(),
        *_keys(sections_of(name)),
        "",
        "run options (python main.py --help all has the others)",
        *_table([(f"--{option}", RUN_OPTIONS[option]) for option in SHORT], INDENT),
    ])  # fmt: skip


def every_key() -> str:
    """All keys of the recipe, and SpeechBrain's run options."""
    return "\n".join([
        "Every key can stand in a YAML or on the command line, as --key value.",
        *_keys(sections(), with_verbs=True),
        "",
        "run options (of SpeechBrain)",
        *_table([(f"--{option}", text) for option, text in RUN_OPTIONS.items()], INDENT),
    ])  # fmt: skip


def _model_line() -> str:
    names = ", ".join(model_names())
    return "\n".join(_filled(f"MODEL is a YAML, or a name: {names}"))


def _keys(chosen: list[Section], *, with_verbs: bool = False) -> list[str]:
    lines = []
    for section in chosen:
        verbs = "" if not with_verbs or section.verbs is None else f": {', '.join(section.verbs)}"
        rows = [(f"--{key.name} {key.default}", key.meaning) for key in section.keys]
        lines += ["", f"{section.title}{verbs}", *_table(rows, INDENT)]
    return lines


def _table(rows: list[tuple[str, str]], indent: int = 0) -> list[str]:
    """Two columns, the second from `indent` on (0: as near as can be) to the screen's width."""
    indent = indent or max(len(name) for name, _ in rows) + 4
    lines = []
    for name, text in rows:
        filled = textwrap.wrap(text, max(_width() - indent, 30)) or [""]
        head = f"  {name}"
        if len(head) > indent - 2:
            lines.append(head)
            head = ""
        lines.append(f"{head:{indent}}{filled[0]}")
        lines += [" " * indent + line for line in filled[1:]]
    return lines


def _filled(text: str) -> list[str]:
    return textwrap.wrap(text, _width())


def _width() -> int:
    return min(shutil.get_terminal_size((100, 40)).columns, 120)
