"""CVoiceFake (large): vocoded Common Voice in several languages."""

from protocols.corpus import TRAIN, Corpus, Item


def items(source):
    folder = "CVoiceFake/CVoiceFake_Large"
    for path, p in source.files(folder, "{language}/{kind}/{stem}.mp3"):
        if p.kind == "Bonafide":
            label = "real"
        elif p.kind.endswith("_generated"):
            label = "fake"
        else:
            label = source.refuse(f"unknown folder {p.kind!r}", path)
        yield Item(
            path,
            f"{p.language}-{p.kind}-{p.stem}",
            label,
            attack=p.kind,
            language="ZH" if "CN" in p.language else p.language,
        )


CORPUS = Corpus(
    "CVoiceFake",
    items,
    prefix="CVoice-",
    contents="real+fake",
    folder="CVoiceFake/CVoiceFake_Large/<LANG>/{Bonafide,*_generated}/*.mp3",
    link="https://safeearweb.github.io/Project",
    sources=("Common Voice",),
    role=TRAIN,
    training="all",
    csv="CVoiceFake_Large.csv",
)
