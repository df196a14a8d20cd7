"""CFAD: Chinese fake audio detection, clean, noisy and transcoded."""

from protocols.corpus import TRAIN, Corpus, Item
from protocols.words import REAL_OR_FAKE

VERSIONS = {name: name for name in ("clean_version", "codec_version", "noisy_version")}
SPLITS = {"train": "train", "dev": "valid", "test_seen": "test", "test_unseen": "test"}
SUBSETS = {
    f"{split}_{condition}": proportion
    for split, proportion in SPLITS.items()
    for condition in ("clean", "codec", "noise")
}


def items(source):
    for path, p in source.files("CFAD/CFAD", "{version}/{subset}/{kind}/{origin}/{stem}.wav"):
        label = source.word(REAL_OR_FAKE, p.kind.partition("_")[0], path)
        proportion = source.word(SUBSETS, p.subset, path)
        version = source.word(VERSIONS, p.version, path)
        yield Item(
            path,
            f"{version}-{proportion}-{label}-{p.stem}",
            label,
            attack=p.origin,  # of real speech: the corpus it was taken from
            speaker=p.stem.partition("_")[0],
            proportion=proportion,
            language="ZH",
        )


CORPUS = Corpus(
    "CFAD",
    items,
    prefix="CFAD-",
    contents="real+fake",
    folder="CFAD/CFAD/{clean,codec,noisy}_version/<subset>/{real,fake}_*/<source>/*.wav",
    link="https://zenodo.org/records/8122764 (CC BY-NC-ND 4.0)",
    sources=("AIShell1", "AIShell3", "THCHS-30", "MAGICDATA", "self-recorded (CFAD)"),
    role=TRAIN,
    training="train+test",
    validation="dev",
)
