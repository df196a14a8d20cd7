"""CodecFake, capital F: VCTK passed through neural codecs. Not `Codecfake` (codecfake_alm.py)."""

from protocols.corpus import TRAIN, Corpus, Item


def items(source):
    for path, p in source.files("CodecFake/processed", "{stem}.wav"):
        codec, plus, name = p.stem.partition("+")  # encodec_24khz+p299_042
        if not plus:
            source.refuse("file name without '+'", path)
            continue
        yield Item(
            path,
            p.stem,
            "fake",
            attack=codec,
            speaker=name.partition("_")[0],
            language="EN",
        )


CORPUS = Corpus(
    "CodecFake",
    items,
    prefix="CodecF-",
    contents="fake",
    folder="CodecFake/processed/<codec>+<vctk name>.wav",
    link="https://github.com/roger-tseng/CodecFake",
    sources=("VCTK",),
    role=TRAIN,
    training="all",
)
