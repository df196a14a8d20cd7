"""DiffSSD: diffusion and commercial synthesis."""

from protocols.corpus import TRAIN, Corpus, Item


def items(source):
    shapes = "{system}/speaker_{number}/{stem}.wav", "{system}/{stem}.wav"
    for path, p in source.files("DiffSSD/generated_speech", *shapes):
        speaker = f"speaker_{p.number}" if hasattr(p, "number") else "-"
        yield Item(
            path,
            f"{p.system}-{speaker}-EN-{p.stem}",
            "fake",
            attack=p.system,
            speaker=speaker,
            language="EN",
        )


CORPUS = Corpus(
    "DiffSSD",
    items,
    prefix="DiffSSD-",
    contents="fake",
    folder="DiffSSD/generated_speech/<system>/[<speaker_NNN>/]*.wav",
    link="https://huggingface.co/datasets/purdueviperlab/diffssd (CC BY-NC-ND 4.0)",
    sources=("LibriSpeech", "LJSpeech"),
    role=TRAIN,
    training="all",
)
