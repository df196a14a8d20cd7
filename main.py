"""Train, fine-tune and score speech-deepfake detectors: `python main.py --help`.

The verbs are in hparams/verbs.py, every key in hparams/recipe.yaml.
"""

from __future__ import annotations

import os
import sys

from dataio.command import run_command
from dataio.schema import UserError

CLEAN = (0, 3)  # statuses with which all processes of a run end together


def main(arguments: list[str]) -> int:
    try:
        status = run_command(lambda: run(arguments), stopped="stopped: nothing new was kept")
    except Exception as defect:
        leave_others(1, defect)
        raise
    if status not in CLEAN:
        leave_others(status)
    return status


def leave_others(status: int, defect: Exception | None = None) -> None:
    """Under torchrun: end this process at once, with `status`."""
    distributed = sys.modules.get("models.distributed")  # not loaded: no group was joined
    if distributed is not None:
        distributed.leave_at_once(status, defect)


def run(arguments: list[str]) -> int:
    from hparams.help import asked_for

    text = asked_for(arguments)
    if text is not None:
        print(text)
        return 0 if arguments else 2
    os.environ.setdefault("SB_LOG_LEVEL", "WARNING")  # SpeechBrain's start-up repeats the YAML
    from hparams.load import load_hparams
    from hparams.verbs import TRAIN, VERBS
    from hparams.words import read_words

    words, options = split_words(arguments)
    name, yaml_path, files = read_words(words)
    verb = VERBS[name]
    hparams, run_options, resolved = load_hparams(
        yaml_path, options, objects=name == TRAIN, needs_folders=verb.needs_folders
    )
    if name == TRAIN:
        return verb.function()(hparams, run_options, resolved)
    if hparams["dry_run"]:
        raise UserError(f"dry_run is for training: {name} has no plan to show")
    return verb.function()(hparams, run_options, *([files] if verb.takes_files else []))


def split_words(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The leading words, and the `--key value` options that follow; a `-` may also stand last."""
    last = arguments[-1:] if arguments[-1:] == ["-"] else []
    arguments = arguments[: len(arguments) - len(last)]
    first = next((i for i, word in enumerate(arguments) if word.startswith("--")), len(arguments))
    return arguments[:first] + last, arguments[first:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
