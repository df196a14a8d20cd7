"""CN-Celeb2: Mandarin speech of celebrities."""

from protocols.corpus import TRAIN, Corpus, Item


def items(source):
    for path, p in source.files("CNCeleb2/CN-Celeb2_flac/data", "{speaker}/{stem}.flac"):
        yield Item(path, f"{p.speaker}-{p.stem}", "real", speaker=p.speaker, language="ZH")


CORPUS = Corpus(
    "CNCeleb2",
    items,
    prefix="CNCeleb2-",
    contents="real",
    folder="CNCeleb2/CN-Celeb2_flac/data/<idNNNNN>/*.flac",
    link="https://www.openslr.org/82 (CC BY-SA 4.0)",
    role=TRAIN,
    training="all",
)
