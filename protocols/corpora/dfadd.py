"""DFADD: diffusion and flow-matching synthesis of VCTK speakers."""

from protocols.corpus import TRAIN, Corpus, Item

SPLITS = {"train": "train", "valid": "valid", "dev": "valid", "test": "test"}
LABELS = {"DATASET_VCTK_BONAFIDE": "real"} | {
    f"DATASET_{system}": "fake"
    for system in ("GradTTS", "MatchaTTS", "NaturalSpeech2", "PflowTTS", "StyleTTS2")
}


def items(source):
    shapes = "{system}/{split}/{stem}.wav", "{system}/{split}/{stem}.flac"
    for path, p in source.files("DFADD", *shapes):
        yield Item(
            path,
            f"{p.system}-{p.stem}",
            source.word(LABELS, p.system, path),
            attack=p.system,
            speaker=p.stem.partition("_")[0],
            proportion=source.word(SPLITS, p.split, path),
            language="EN",
        )


CORPUS = Corpus(
    "DFADD",
    items,
    prefix="DFADD-",
    contents="real+fake",
    folder="DFADD/DATASET_{<System>,VCTK_BONAFIDE}/{train,valid,test}/*.{wav,flac}",
    link="https://huggingface.co/datasets/isjwdu/DFADD",
    sources=("VCTK",),
    role=TRAIN,
    training="train+test",
    validation="valid",
)
