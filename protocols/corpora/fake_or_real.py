"""Fake-or-Real (FoR): `for-original`, and `for-norm` as a variant of its own file."""

from protocols.corpus import TEST, Corpus, Item
from protocols.words import REAL_OR_FAKE

SPLITS = {"training": "train", "validation": "valid", "testing": "test"}


def items(source):
    shapes = "{split}/{label}/{stem}.wav", "{split}/{label}/{stem}.mp3"
    for path, p in source.files(f"FakeOrReal/{source.variant}", *shapes):
        yield Item(
            path,
            f"{p.split}-{p.label}-{p.stem}",
            source.word(REAL_OR_FAKE, p.label, path),
            proportion=source.word(SPLITS, p.split, path),
            language="EN",
        )


CORPUS = Corpus(
    "FakeOrReal",
    items,
    prefix="FoR-",
    contents="real+fake",
    folder="FakeOrReal/for-{original,norm}/{training,validation,testing}/{real,fake}/*.{wav,mp3}",
    link="https://bil.eecs.yorku.ca/datasets",
    role=TEST,
    variants=("for-original", "for-norm"),
    variant_csv=("FakeOrReal.csv", "FakeOrReal_norm.csv"),
)
