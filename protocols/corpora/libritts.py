"""LibriTTS (real), LibriTTS-R (restored: fake) and vocoded LibriTTS (fake)."""

from functools import partial

from protocols.corpus import TRAIN, Corpus, Item
from protocols.words import LIBRITTS_SUBSETS

SHAPE = "{subset}/{speaker}/{chapter}/{stem}.wav"


def items(source, name, label, shape=SHAPE):
    for path, p in source.files(name, shape):
        attack = getattr(p, "vocoder", "-")
        yield Item(
            path,
            p.stem if attack == "-" else f"{attack}-{p.stem}",
            label,
            attack=attack,
            speaker=p.speaker,
            proportion=source.word(LIBRITTS_SUBSETS, p.subset, path),
            language="EN",
        )


FOLDER = "{train,dev,test}-{clean,other}[-N]/<speaker>/<chapter>/*.wav"
PARTS = dict(role=TRAIN, training="train+test", validation="dev")
CORPORA = (
    Corpus(
        "LibriTTS",
        partial(items, name="LibriTTS", label="real"),
        prefix="Libri-",
        contents="real",
        folder=f"LibriTTS/{FOLDER}",
        link="https://www.openslr.org/60 (CC BY 4.0)",
        **PARTS,
    ),
    Corpus(
        "LibriTTS-R",
        partial(items, name="LibriTTS-R", label="fake"),
        prefix="Libri-R-",
        contents="fake",
        folder=f"LibriTTS-R/{FOLDER}",
        link="https://www.openslr.org/141 (CC BY 4.0)",
        sources=("LibriTTS",),
        **PARTS,
    ),
    Corpus(
        "LibriTTS-Vocoded",
        partial(items, name="LibriTTS-Vocoded", label="fake", shape="{vocoder}/" + SHAPE),
        prefix="LibriTTS-Vo-",
        contents="fake",
        folder=f"LibriTTS-Vocoded/<vocoder>/{FOLDER}",
        link="made by the user: copy synthesis of LibriTTS",
        sources=("LibriTTS",),
        **PARTS,
    ),
)
