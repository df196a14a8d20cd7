"""ADD 2023, Track 1.2, test round 2."""

from protocols.corpus import TEST, Corpus, Item

FOLDER = "ADD2023/Track1.2/testR2"
LABELS = {"genuine": "real", "fake": "fake"}


def items(source):
    for where, (name, key) in source.lines(f"{FOLDER}/label.txt", fields=2):
        yield Item(
            f"{FOLDER}/wav/{name}",
            name,  # with its extension, as published
            source.word(LABELS, key, where),
            proportion="test",
            where=where,
        )


CORPUS = Corpus(
    "ADD2023",
    items,
    prefix="ADD2023-",
    contents="real+fake",
    folder="ADD2023/Track1.2/testR2/{label.txt, wav/*.wav}",
    link="http://addchallenge.cn/add2023",
    role=TEST,
    lists=("label.txt",),
)
