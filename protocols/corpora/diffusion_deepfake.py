"""DiffusionDeepfake ("Diffuse or Confuse"): diffusion synthesis of LJSpeech sentences."""

from protocols.corpus import TRAIN, Corpus, Item


def items(source):
    for path, p in source.files("DiffusionDeepfake", "{system}/{stem}.wav"):
        yield Item(
            path,
            f"{p.system}-{p.stem}",
            "fake",
            attack=p.system,
            speaker=p.stem.partition("_")[0],  # LJ099-0011: a sentence; the voice is one
            language="EN",
        )


CORPUS = Corpus(
    "DiffusionDeepfake",
    items,
    prefix="DiffFake-",
    contents="fake",
    folder="DiffusionDeepfake/<system>/<LJ name>.wav",
    link="https://github.com/AntonFirc/diffusion-deepfake-speech-dataset",
    sources=("LJSpeech",),
    role=TRAIN,
    training="all",
)
