"""HABLA: Latin American Spanish, converted and synthesised."""

import re

from protocols.corpus import TRAIN, Corpus, Item

METHODS = {"CycleGAN", "Diff", "StarGAN", "TTS", "VC"}  # or two joined: TTS-StarGAN
SPEAKER = re.compile(r"(?:[A-Za-z]+-)*([a-z]{3}_\d+|[^_]+)")  # TTS-clf_00001_..., else to the "_"


def items(source):
    shapes = "{method}/{country}/{folders*}/{stem}.wav", "{method}/{country}/{stem}.wav"
    for path, p in source.files("HABLA/FinalDataset_16khz", *shapes):
        if p.method == "Real":
            label = "real"
        elif METHODS.issuperset(p.method.split("-")):
            label = "fake"
        else:
            label = source.refuse(f"unknown folder {p.method!r}", path)
        folders = getattr(p, "folders", "")
        parsed = SPEAKER.match(p.stem)
        yield Item(
            path,
            f"{label}-{p.stem}",
            label,
            attack=p.method,
            speaker=folders.rpartition("/")[2] or (parsed[1] if parsed else "-"),
            language="ES",
        )


CORPUS = Corpus(
    "HABLA",
    items,
    prefix="HABLA-",
    contents="real+fake",
    folder="HABLA/FinalDataset_16khz/{Real,<method>}/<Country>/<speaker>/*.wav",
    link="https://zenodo.org/records/7370805",
    sources=("crowdsourced (HABLA)",),
    role=TRAIN,
    training="all",
)
