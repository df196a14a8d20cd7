"""Human prompts with fake words and phrases; `python -m protocols make spliced`."""

from protocols.corpus import Corpus, Item

SPLITS = {"train": "train", "valid": "valid", "test": "test"}
LABELS = {"whole": "real", "human": "real", "tts": "fake", "vocoded": "fake"}


def items(source):
    layout = "{split}/{kind}/{attack}/{language}/{speaker}/{stem}.flac"
    for path, p in source.files("Spliced", layout):
        yield Item(
            path,
            f"{p.kind}-{p.attack}-{p.language}-{p.speaker}-{p.stem}".replace("--", "-"),
            source.word(LABELS, p.kind, path),
            attack=p.attack,
            speaker=p.speaker,
            proportion=source.word(SPLITS, p.split, path),
            language=p.language,
            segments=source.first_file(path.removesuffix(".flac") + ".txt"),
        )


CORPUS = Corpus(
    "spliced",
    items,
    prefix="Spliced-",
    contents="real+fake",
    folder="Spliced/{train,valid,test}/{whole,human,tts,vocoded}/<attack>/<LANGUAGE>/<speaker>/"
    "*.{flac,txt}",
    link=(
        "made by `python -m protocols make spliced` from Debian's packages "
        "asterisk-core-sounds-{en,es,fr,it,ru}-g722 (CC BY-SA 3.0; ru: CC BY 3.0)"
    ),
    segments=True,
)
