"""Multilingual LibriSpeech: audio books in eight languages."""

from protocols.corpus import TRAIN, Corpus, Item
from protocols.words import TRAIN_DEV_TEST

LANGUAGES = {
    "dutch": "NL", "english": "EN", "french": "FR", "german": "DE", "italian": "IT",
    "polish": "PL", "portuguese": "PT", "spanish": "ES",
}  # fmt: skip


def items(source):
    for path, p in source.files("MLS", "mls_{language}/{split}/audio/{speaker}/{book}/{stem}.flac"):
        language = source.word(LANGUAGES, p.language, path)
        yield Item(
            path,
            f"{language}-{p.stem}",
            "real",
            speaker=p.speaker,
            proportion=source.word(TRAIN_DEV_TEST, p.split, path),
            language=language,
        )


CORPUS = Corpus(
    "MLS",
    items,
    prefix="MLS-",
    contents="real",
    folder="MLS/mls_<language>/{train,dev,test}/audio/<speaker>/<book>/*.flac",
    link="https://www.openslr.org/94 (CC BY 4.0)",
    role=TRAIN,
    training="train+test",
    validation="dev",
)
