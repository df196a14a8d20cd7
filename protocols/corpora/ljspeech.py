"""LJSpeech: one English reader."""

from protocols.corpus import TRAIN, Corpus, Item


def items(source):
    for path, p in source.files("LJSpeech/LJSpeech-1.1", "wavs/{stem}.wav"):
        book = p.stem.partition("-")[0]  # published as the speaker; the voice is one
        yield Item(path, p.stem, "real", speaker=book, language="EN")


CORPUS = Corpus(
    "LJSpeech",
    items,
    prefix="LJ-",
    contents="real",
    folder="LJSpeech/LJSpeech-1.1/wavs/LJ###-####.wav",
    link="https://keithito.com/LJ-Speech-Dataset (public domain)",
    role=TRAIN,
    training="all",
)
