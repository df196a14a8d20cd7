"""WildSVDD: singing voice deepfakes, each song as mixture and as vocals."""

from protocols.corpus import Corpus, Item

SPLITS = {"train": "train", "test_A": "test", "test_B": "test"}
LABELS = {"bonafide": "real", "deepfake": "fake"}
KINDS = {"mixture": "mixture", "vocals": "vocals"}


def items(source):
    folder = "WildSVDD/WildSVDD_Data_Sep2024_Processed"
    for path, p in source.files(folder, "{part}/{kind}/{stem}.flac"):
        kind = source.word(KINDS, p.kind, path)
        yield Item(
            path,
            f"{p.part}-{kind}-{p.stem}",
            source.word(LABELS, p.stem.partition("_")[0], path),
            proportion=source.word(SPLITS, p.part, path),
        )


CORPUS = Corpus(
    "WildSVDD",
    items,
    prefix="WildSVDD-",
    contents="real+fake",
    folder="WildSVDD/WildSVDD_Data_Sep2024_Processed/{train,test_A,test_B}/{mixture,vocals}/*.flac",
    link="https://music-ir.org/mirex/wiki/2024:Singing_Voice_Deepfake_Detection",
)
