"""VoiceMOS: Blizzard Challenge audio; submission A is natural speech.

Published IDs count the files, so they change when a file is added: `--variant path` gives
lasting ones. The layout `main/DATA/wav/*.wav` holds synthetic speech only.
"""

from protocols.corpus import TRAIN, Corpus, Item

MAIN = "VoiceMOS/main"
FLAT = f"{MAIN}/DATA/wav"
YEAR = "blizzard_wavs_and_scores_{year}_release_version_1/{letter}/"
LABELS = {chr(code): "fake" for code in range(ord("B"), ord("Z") + 1)} | {"A": "real"}


def items(source):
    top = source.folder(f"{MAIN}/blizzard", FLAT, MAIN)
    shapes = (
        ("{stem}.wav",) if top == FLAT else (YEAR + "{folders*}/{stem}.wav", YEAR + "{stem}.wav")
    )
    for counter, (path, p) in enumerate(source.files(top, *shapes)):
        label = "fake" if top == FLAT else source.word(LABELS, p.letter, path)
        lasting = path[len(top) + 1 : -len(".wav")].replace("/", "-")
        yield Item(path, f"{counter}-{p.stem}" if source.variant == "counter" else lasting, label)


CORPUS = Corpus(
    "VoiceMOS",
    items,
    prefix="VoiceMOS-",
    contents="real+fake",
    folder="VoiceMOS/main/{[blizzard/]blizzard_wavs_and_scores_<year>_release_version_1/<LETTER>, "
    "DATA/wav}/**/*.wav",
    link="https://www.cstr.ed.ac.uk/projects/blizzard",
    sources=("Blizzard Challenge",),
    role=TRAIN,
    training="all (synthetic speech only, its script says)",
    variants=("counter", "path"),
)
