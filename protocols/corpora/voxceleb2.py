"""VoxCeleb2 (real) and vocoded VoxCeleb2 (fake).

The corpus comes as .m4a: convert it to .wav as the release did, or use `--variant m4a`.
"""

from protocols.corpus import TRAIN, Corpus, Item


def items(source):
    shape = "{speaker}/{video}/{stem}." + source.variant
    for path, p in source.files("VoxCeleb2/dev/aac", shape):
        yield Item(path, f"{p.speaker}-{p.video}-{p.stem}", "real", speaker=p.speaker)


def vocoded_items(source):
    shape = "{vocoder}/dev/aac/{speaker}/{video}/{stem}.wav"
    for path, p in source.files("VoxCeleb2-Vocoded", shape):
        yield Item(
            path,
            f"{p.vocoder}-{p.speaker}-{p.video}-{p.stem}",
            "fake",
            attack=p.vocoder,
            speaker=p.speaker,
        )


CORPORA = (
    Corpus(
        "VoxCeleb2",
        items,
        prefix="VoxCeleb2-",
        contents="real",
        folder="VoxCeleb2/dev/aac/<idNNNNN>/<video>/*.{wav,m4a}",
        link="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox2.html (CC BY 4.0)",
        role=TRAIN,
        training="all",
        variants=("wav", "m4a"),
    ),
    Corpus(
        "VoxCeleb2-Vocoded",
        vocoded_items,
        prefix="VoxCeleb2-Vo-",
        contents="fake",
        folder="VoxCeleb2-Vocoded/<vocoder>/dev/aac/<idNNNNN>/<video>/*.wav",
        link="made by the user: copy synthesis of VoxCeleb2",
        sources=("VoxCeleb2",),
        role=TRAIN,
        training="all",
    ),
)
