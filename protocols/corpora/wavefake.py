"""WaveFake: vocoded LJSpeech and JSUT."""

from protocols.corpus import TRAIN, Corpus, Item


def items(source):
    shapes = "{generator}/{stem}.wav", "{generator}/{deeper*}/{stem}.wav"
    for path, p in source.files("WaveFake/generated_audio", *shapes):
        if hasattr(p, "deeper"):  # not listed by the release
            source.pass_over("files in a folder below the generator's", path)
            continue
        if "jsut" in p.generator:
            language = "JA"
        elif "ljspeech" in p.generator:
            language = "EN"
        else:
            language = source.refuse(f"neither jsut nor ljspeech in folder {p.generator!r}", path)
        name = f"{p.generator}_{p.stem}"  # an underscore, as published
        yield Item(path, name, "fake", attack=p.generator, language=language)


CORPUS = Corpus(
    "WaveFake",
    items,
    prefix="WF-",
    contents="fake",
    folder="WaveFake/generated_audio/<generator folder>/*.wav",
    link="https://zenodo.org/records/5642694 (CC BY-SA 4.0)",
    sources=("LJSpeech", "JSUT"),
    role=TRAIN,
    training="all",
)
