"""`python -m protocols make demo|asterisk_prompts`: corpora this project makes by itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from dataio.schema import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two sub-verbs; every option has a default but the two folders."""
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
                "--prompts", type=_positive, default=160, help="a language (default: 160)"
            )
            sub.add_argument(
                "--limit", type=_positive, help="at most this many prompts and sentences a language"
            )
            sub.add_argument("--sounds_folder", default="/usr/share/asterisk/sounds")


ABOUT = {
    "demo": "voices made of formulas and their vocoded copies: a plumbing check, not speech",
    "asterisk_prompts": "human telephone prompts in five languages, TTS and copy-synthesis",
}


def run(args: argparse.Namespace) -> int:
    """Make the audio, write the three protocols, print their sizes."""
    from protocols.making import workshop

    data_folder, output_folder = Path(args.data_folder), Path(args.output_folder)
    workers = args.num_workers or workshop.usable_cores()
    rows = MAKERS[args.corpus](args, data_folder, workers)
    counts = workshop.write_protocols(rows, output_folder)
    for split, count in counts.items():
        print(f"{output_folder / split}.csv: {count} files")
    return 0


def _make_demo(args: argparse.Namespace, data_folder: Path, workers: int) -> list:
    from protocols.corpora import demo as corpus
    from protocols.making import demo, workshop

    if args.speakers < 3:
        raise UserError("--speakers must be at least 3: train, valid and test share no voice")
    recipe = demo.Recipe(speakers=args.speakers, utterances=args.utterances, seed=args.seed)
    demo.make(data_folder, recipe, workers=workers)
    return workshop.corpus_rows(corpus.CORPUS, data_folder)


def _make_asterisk_prompts(args: argparse.Namespace, data_folder: Path, workers: int) -> list:
    from protocols.corpora import asterisk_prompts as corpus
    from protocols.making import asterisk_prompts, workshop

    recipe = asterisk_prompts.Recipe(seed=args.seed, prompts=args.prompts, limit=args.limit or 0)
    sounds_folder = Path(args.sounds_folder)
    asterisk_prompts.make(data_folder, recipe, sounds_folder=sounds_folder, workers=workers)
    return workshop.corpus_rows(corpus.CORPUS, data_folder)


MAKERS = {"demo": _make_demo, "asterisk_prompts": _make_asterisk_prompts}


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value
