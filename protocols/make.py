"""`python -m protocols make demo|asterisk_prompts|spliced`: corpora this project makes itself."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from dataio.schema import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-verbs; every option has a default but the two folders."""
    corpora = parser.add_subparsers(dest="corpus", required=True, metavar="corpus")
    for name, about in ABOUT.items():
        sub = corpora.add_parser(name, help=about, description=about)
        sub.add_argument("--data_folder", required=True, help="audio is written below; $ROOT")
        sub.add_argument("--output_folder", required=True, help="train.csv, valid.csv, test.csv")
        sub.add_argument("--seed", type=int, default=1, help="same seed, same files (default: 1)")
        sub.add_argument("--num_workers", type=_positive, help="processes (default: all cores)")
        if name == "demo":
            sub.add_argument("--speakers", type=_positive, default=24, help="voices (default: 24)")
            sub.add_argument(
                "--utterances", type=_positive, default=12, help="a voice (default: 12)"
            )
        else:
            sub.add_argument(
                "--prompts", type=_positive, default=PROMPTS[name],
                help=f"a language (default: {PROMPTS[name]})",
            )  # fmt: skip
            sub.add_argument(
                "--limit", type=_positive, help="at most this many prompts and sentences a language"
            )
            sub.add_argument("--sounds_folder", default="/usr/share/asterisk/sounds")


ABOUT = {
    "demo": "voices made of formulas and their vocoded copies: a plumbing check, not speech",
    "asterisk_prompts": "human telephone prompts in five languages, TTS and copy-synthesis",
    "spliced": "the same prompts with a word or phrase by TTS or vocoder, and labels of the parts",
}
PROMPTS = {"asterisk_prompts": 160, "spliced": 60}  # a language


def run(args: argparse.Namespace) -> int:
    """Make the audio, write the three protocols, print their sizes."""
    from protocols.making import workshop

    data_folder, output_folder = Path(args.data_folder), Path(args.output_folder)
    workers = args.num_workers or workshop.usable_cores()
    corpus = import_module(f"protocols.corpora.{args.corpus}").CORPUS
    make = _make_demo if args.corpus == "demo" else _make_of_prompts
    make(args, data_folder, workers)
    rows = workshop.corpus_rows(corpus, data_folder)
    counts = workshop.write_protocols(rows, output_folder, corpus.columns)
    for split, count in counts.items():
        print(f"{output_folder / split}.csv: {count} files")
    return 0


def _make_demo(args: argparse.Namespace, data_folder: Path, workers: int) -> None:
    from protocols.making import demo

    if args.speakers < 3:
        raise UserError("--speakers must be at least 3: train, valid and test share no voice")
    recipe = demo.Recipe(speakers=args.speakers, utterances=args.utterances, seed=args.seed)
    demo.make(data_folder, recipe, workers=workers)


def _make_of_prompts(args: argparse.Namespace, data_folder: Path, workers: int) -> None:
    from protocols.making.asterisk_prompts import Recipe

    recipe = Recipe(seed=args.seed, prompts=args.prompts, limit=args.limit or 0)
    making = import_module(f"protocols.making.{args.corpus}")
    making.make(data_folder, recipe, sounds_folder=Path(args.sounds_folder), workers=workers)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value
