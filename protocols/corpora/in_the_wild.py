"""In-the-Wild: deepfakes of public figures from the internet."""

from protocols.corpus import TEST, Corpus, Item

FOLDER = "In-the-Wild/release_in_the_wild"
LABELS = {"bona-fide": "real", "spoof": "fake"}


def items(source):
    rows = source.table(f"{FOLDER}/meta.csv", columns=("file", "speaker", "label"))
    for where, row in rows:
        yield Item(
            f"{FOLDER}/{row['file']}",
            row["file"].rpartition(".")[0] or row["file"],
            source.word(LABELS, row["label"], where),
            speaker=row["speaker"] or "-",
            language="EN",
            where=where,
        )


CORPUS = Corpus(
    "In-the-Wild",
    items,
    prefix="ItW-",
    contents="real+fake",
    folder="In-the-Wild/release_in_the_wild/{*.wav, meta.csv}",
    link="https://deepfake-total.com/in_the_wild (Apache 2.0)",
    role=TEST,
    lists=("meta.csv",),
)
