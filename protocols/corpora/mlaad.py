"""MLAAD v5: synthesis in many languages by many models."""

from protocols.corpus import TRAIN, Corpus, Item


def items(source):
    for path, p in source.files("MLAAD_v5/fake", "{language}/{model}/{stem}.wav"):
        language = "ZH" if "zh-cn" in p.language else p.language
        yield Item(
            path,
            f"{language}-{p.model}-{p.stem}",  # in the ID as the folder is written
            "fake",
            attack=p.model,
            language=language.upper(),
        )


CORPUS = Corpus(
    "MLAAD",
    items,
    prefix="MLAAD-",
    contents="fake",
    folder="MLAAD_v5/fake/<lang>/<model>/*.wav",
    link="https://deepfake-total.com/mlaad (CC BY-NC 4.0)",
    sources=("M-AILABS",),
    role=TRAIN,
    training="all",
    csv="MLAAD_v5.csv",
)
