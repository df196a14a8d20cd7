"""Codecfake, small f: speech of audio language models. Not `CodecFake` (codecfake_vctk.py)."""

from protocols.corpus import TRAIN, Corpus, Item
from protocols.words import REAL_OR_FAKE

LISTS = {"train": "train", "dev": "valid", "C7": "test"}
METHODS = {"0": "-"} | {str(n): f"F{n:02d}" for n in range(1, 8)}


def items(source):
    for name, proportion in LISTS.items():
        lines = source.lines(f"Codecfake/label/{name}.txt", fields=3)
        for where, (file, key, method) in lines:
            yield Item(
                f"Codecfake/{name}/{file}",
                file[:-4],
                source.word(REAL_OR_FAKE, key, where),
                attack=source.word(METHODS, method, where),
                proportion=proportion,
                where=where,
            )


CORPUS = Corpus(
    "Codecfake",
    items,
    prefix="Codecf-",
    contents="real+fake",
    folder="Codecfake/{train,dev,C7}/*.wav and Codecfake/label/{train,dev,C7}.txt",
    link="https://github.com/xieyuankun/Codecfake (CC BY-NC-ND 4.0)",
    sources=("LibriTTS", "VCTK", "AIShell3"),
    role=TRAIN,
    training="train+test",
    validation="dev",
    lists=tuple(f"{name}.txt" for name in LISTS),
)
