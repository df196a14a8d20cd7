"""Human telephone prompts, TTS and copy-synthesis; `python -m protocols make asterisk_prompts`."""

from protocols.corpus import Corpus, Item

SPLITS = {"train": "train", "valid": "valid", "test": "test"}


def items(source):
    for path, p in source.files(
        "Asterisk",
        "{split}/real/{language}/{speaker}/{stem}.flac",
        "{split}/fake/{attack}/{language}/{speaker}/{stem}.flac",
    ):
        attack = getattr(p, "attack", "-")
        spoken = f"{p.language}-{p.speaker}-{p.stem}"
        yield Item(
            path,
            spoken if attack == "-" else f"{attack}-{spoken}",
            "real" if attack == "-" else "fake",
            attack=attack,
            speaker=p.speaker,
            proportion=source.word(SPLITS, p.split, path),
            language=p.language,
        )


CORPUS = Corpus(
    "asterisk_prompts",
    items,
    prefix="Asterisk-",
    contents="real+fake",
    folder="Asterisk/{train,valid,test}/{real,fake/<attack>}/<LANGUAGE>/<speaker>/*.flac",
    link=(
        "made by `python -m protocols make asterisk_prompts` from Debian's packages "
        "asterisk-core-sounds-{en,es,fr,it,ru}-g722 (CC BY-SA 3.0; ru: CC BY 3.0)"
    ),
)
