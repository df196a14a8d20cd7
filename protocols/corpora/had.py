"""HAD: half-truth audio in Chinese, in which a word was replaced."""

from protocols.corpus import Corpus, Item
from protocols.words import TRAIN_DEV_TEST

LISTS = tuple(f"HAD_{part}_label.txt" for part in TRAIN_DEV_TEST)


def items(source):
    for part, name in zip(TRAIN_DEV_TEST, LISTS, strict=True):
        for where, (file_id, pieces, _) in source.lines(f"HAD/HAD_{part}/{name}", fields=3):
            ends = {piece.rpartition("-")[2] for piece in pieces.split("/")}
            if not ends <= {"T", "F"}:
                source.refuse(f"pieces {pieces[:40]!r}", where)
                continue
            yield Item(
                f"HAD/HAD_{part}/conbine/{file_id}.wav",
                file_id,
                "fake" if "F" in ends else "real",
                proportion=TRAIN_DEV_TEST[part],
                language="ZH",
                segments=source.list_of(where),
                where=where,
            )


CORPUS = Corpus(
    "HAD",
    items,
    prefix="HAD-",
    contents="real+fake",
    folder="HAD/HAD_{train,dev,test}/{conbine/*.wav, HAD_{train,dev,test}_label.txt}",
    link="https://zenodo.org/records/10377492",
    sources=("AIShell3",),
    lists=LISTS,
    segments=True,
    uncertain="the names of the label files; a file that is not there is counted",
)
