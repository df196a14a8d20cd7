"""SpoofCeleb: in-the-wild speech of VoxCeleb1 and its synthesis."""

import re

from protocols.corpus import TRAIN, Corpus, Item

SPLITS = {"development": "valid", "evaluation": "test", "train": "train"}
ATTACK = re.compile(r"a\d\d")


def items(source):
    folder = "SpoofCeleb/spoofceleb"
    for name, proportion in SPLITS.items():
        rows = source.table(f"{folder}/metadata/{name}.csv", columns=("file", "speaker", "attack"))
        for where, row in rows:
            file, attack = row["file"], row["attack"]
            if ATTACK.fullmatch(attack):
                label = "real" if attack == "a00" else "fake"
            else:
                label = source.refuse(f"unknown attack {attack!r}", where)
            yield Item(
                f"{folder}/flac/{name}/{file}",
                file[: -len(".flac")],  # slashes stay, as published
                label,
                attack=attack,
                speaker=row["speaker"] or "-",
                proportion=proportion,
                where=where,
            )


CORPUS = Corpus(
    "SpoofCeleb",
    items,
    prefix="SpoofCeleb-",
    contents="real+fake",
    folder="SpoofCeleb/spoofceleb/{flac/<list>/<aNN>/<idNNNNN>/*.flac, metadata/*.csv}",
    link="https://jungjee.github.io/spoofceleb",
    sources=("VoxCeleb1",),
    role=TRAIN,
    training="train+evaluation",
    validation="development",
    lists=tuple(f"{name}.csv" for name in SPLITS),
)
