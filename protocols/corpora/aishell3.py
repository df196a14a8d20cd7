"""AISHELL-3: Mandarin read speech, 218 speakers."""

from protocols.corpus import TRAIN, Corpus, Item

SPLITS = {"train": "train", "test": "test"}


def items(source):
    for path, p in source.files("AIShell3", "{subset}/wav/{speaker}/{stem}.wav"):
        yield Item(
            path,
            f"{p.speaker}-{p.stem}",
            "real",
            speaker=p.speaker,
            proportion=source.word(SPLITS, p.subset, path),
            language="ZH",
        )


CORPUS = Corpus(
    "AIShell3",
    items,
    prefix="AIShell3-",
    contents="real",
    folder="AIShell3/{train,test}/wav/<speaker>/*.wav",
    link="https://www.openslr.org/93 (Apache 2.0)",
    role=TRAIN,
    training="train+test",
)
