"""Deepfake-Eval-2024, sorted or cut by `python -m protocols deepfake_eval_2024 prepare|segment`.

The release has no protocol for it: these IDs are this toolkit's own.
"""

from protocols.corpus import Corpus, Item
from protocols.words import REAL_OR_FAKE

SPLITS = {"train": "train", "test": "test"}
SUFFIXES = "wav", "flac", "mp3", "m4a", "mp4"
SECONDS = "4s", "10s", "13s", "30s", "50s"


def items(source):
    data = "Deepfake-Eval-2024/data"
    if source.variant == "unsegmented":
        folder, shape = f"{data}/unsegmented", "{split}/{label}/{stem}"
    else:
        folder, shape = f"{data}/segmented", "{split}/{length}/{label}/{stem}"
    shapes = [f"{shape}.{suffix}" for suffix in SUFFIXES]
    for path, p in source.files(folder, *shapes, any_case=True):
        length = getattr(p, "length", "full")
        if source.variant.endswith("s") and length != source.variant:
            continue
        yield Item(
            path,
            f"{length}-{p.split}-{p.label}-{p.stem}",
            source.word(REAL_OR_FAKE, p.label, path),
            proportion=source.word(SPLITS, p.split, path),
        )


CORPUS = Corpus(
    "Deepfake-Eval-2024",
    items,
    prefix="DFEval2024-",
    contents="real+fake",
    folder="Deepfake-Eval-2024/data/{segmented/{train,test}/<n>s,unsegmented/{train,test}}/"
    "{real,fake}/*",
    link="https://huggingface.co/datasets/nuriachandra/Deepfake-Eval-2024 (CC BY-SA 4.0)",
    variants=("segmented", *SECONDS, "unsegmented"),
    variant_csv=(
        "Deepfake-Eval-2024.csv",
        *(f"Deepfake-Eval-2024_{length}.csv" for length in SECONDS),
        "Deepfake-Eval-2024_unsegmented.csv",
    ),
)
