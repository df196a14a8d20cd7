"""Demo: voices made of formulas and their vocoded copies; `python -m protocols make demo`."""

from protocols.corpus import Corpus, Item

SPLITS = {"train": "train", "valid": "valid", "test": "test"}


def items(source):
    for path, p in source.files(
        "Demo",
        "{split}/real/{speaker}/{stem}.flac",
        "{split}/fake/{attack}/{speaker}/{stem}.flac",
    ):
        attack = getattr(p, "attack", "-")
        yield Item(
            path,
            p.stem if attack == "-" else f"{attack}-{p.stem}",
            "real" if attack == "-" else "fake",
            attack=attack,
            speaker=p.speaker,
            proportion=source.word(SPLITS, p.split, path),
        )


CORPUS = Corpus(
    "Demo",
    items,
    prefix="Demo-",
    contents="real+fake",
    folder="Demo/{train,valid,test}/{real,fake/<vocoder>}/<speaker>/*.flac",
    link="made by `python -m protocols make demo`; nothing in it was recorded by anyone",
)
