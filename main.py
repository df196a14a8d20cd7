"""Train, fine-tune and score speech-deepfake detectors.

    python main.py hparams/mms_300m.yaml --base_path B [--key value ...]
    python main.py inference hparams/mms_300m.yaml --base_path B --test_csv T.csv [--ckpt_path C]
    python main.py analysis  hparams/mms_300m.yaml ... the same options
    python main.py score     hparams/mms_300m.yaml FILE_OR_FOLDER ... --ckpt_path C [--output S.csv]

The first form post-trains or fine-tunes (`torchrun --standalone --nproc-per-node=N main.py ...`),
and goes on where it was when the output folder exists. `inference` scores a protocol CSV,
`analysis` also writes embeddings, `score` takes audio files. Every key of hparams/recipe.yaml and
every SpeechBrain run option (`--device cpu`, `--precision bf16`, `--debug`) can be given as
`--key value`.
"""

from __future__ import annotations

import os
import sys

from dataio.command import run_command
from dataio.schema import UserError

SCORING = ("inference", "analysis", "score")


def main(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__.strip())
        return 0 if arguments else 2
    return run_command(
        lambda: run(arguments), stopped="stopped; the same command goes on from here"
    )


def run(arguments: list[str]) -> int:
    os.environ.setdefault("SB_LOG_LEVEL", "WARNING")  # SpeechBrain's start-up repeats the YAML
    from hparams.load import load_hparams

    verb = arguments[0] if arguments[0] in SCORING else "train"
    rest = arguments if verb == "train" else arguments[1:]
    files, options = split_files(rest)
    if not files:
        words = "main.py" if verb == "train" else f"main.py {verb}"
        raise UserError(f"no YAML file given: python {words} hparams/<model>.yaml ...")
    yaml_path, *audio = files
    if audio and verb != "score":
        raise UserError(f"unexpected argument {audio[0]!r}: options are written --key value")
    hparams, run_options, resolved = load_hparams(
        yaml_path, options, objects=verb == "train", needs_folders=verb != "score"
    )
    if verb == "train":
        from models.training.run import train

        return train(hparams, run_options, resolved)
    if verb == "score":
        from models.scoring.audio import score_audio

        return score_audio(hparams, run_options, audio)
    from models.scoring.run import score_protocol

    return score_protocol(hparams, run_options, with_embeddings=verb == "analysis")


def split_files(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The leading file names, and the `--key value` options that follow them."""
    first = next((i for i, word in enumerate(arguments) if word.startswith("--")), len(arguments))
    return arguments[:first], arguments[first:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
