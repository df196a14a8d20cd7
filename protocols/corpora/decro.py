"""DECRO: deepfakes in Chinese and English, for cross-language evaluation."""

from protocols.corpus import TRAIN, Corpus, Item
from protocols.words import BONAFIDE_OR_SPOOF

FOLDER = "DECRO/petrichorwq-DECRO-dataset-6fc9884"
SPLITS = {"dev": "valid", "eval": "test", "train": "train"}
LANGUAGES = {"ch": "ZH", "en": "EN"}


def items(source):
    for name in (f"{language}_{part}" for language in LANGUAGES for part in SPLITS):
        language, part = name.split("_")
        proportion, code = SPLITS[part], LANGUAGES[language]
        for where, cells in source.lines(f"{FOLDER}/{name}.txt", fields=5):
            speaker, stem, _, system, key = cells
            yield Item(
                f"{FOLDER}/{name}/{stem}.wav",
                f"{proportion}-{code}-{stem}",
                source.word(BONAFIDE_OR_SPOOF, key, where),
                attack=system,
                speaker=speaker,
                proportion=proportion,
                language=code,
                where=where,
            )


CORPUS = Corpus(
    "DECRO",
    items,
    prefix="DECRO-",
    contents="real+fake",
    folder=f"{FOLDER}/{{ch,en}}_{{dev,eval,train}}/*.wav, .txt lists beside",
    link="https://github.com/petrichorwq/DECRO-dataset",
    sources=("VCTK", "AIShell1", "AIShell2", "AIShell3", "Aidatatang_200zh", "freeST", "MAGICDATA"),
    role=TRAIN,
    training="train+test",
    validation="dev",
    lists=tuple(f"{language}_{part}.txt" for language in LANGUAGES for part in SPLITS),
)
