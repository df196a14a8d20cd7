"""DSD corpus: Korean, English and Japanese synthesis and conversion."""

from protocols.corpus import TRAIN, Corpus, Item
from protocols.words import BONAFIDE_OR_SPOOF, TRAIN_DEV_EVAL

LIST = "DSD_corpus_v1.csv"
NAME = "Utterence name (file name)"  # spelt so
COLUMNS = (NAME, "Language", "Speaker name", "label", "Model", "subset")
LANGUAGES = {"Korean": "KO", "English": "EN", "Japanese": "JA"}


def items(source):
    for where, row in source.table(f"./{LIST}", f"DSD/{LIST}", columns=COLUMNS):
        yield Item(
            f"DSD/{row[NAME]}",
            row[NAME].rpartition(".")[0] or row[NAME],
            source.word(BONAFIDE_OR_SPOOF, row["label"], where),
            attack=row["Model"] or "-",
            speaker=row["Speaker name"] or "-",
            proportion=source.word(TRAIN_DEV_EVAL, row["subset"], where),
            language=source.word(LANGUAGES, row["Language"], where),
            where=where,
        )


CORPUS = Corpus(
    "DSD",
    items,
    prefix="DSD-",
    contents="real+fake",
    folder="DSD/*.wav (the list: DSD_corpus_v1.csv here or in DSD/)",
    link="https://zenodo.org/records/13788455",
    sources=("LibriSpeech", "VCTK", "AIHUB", "crowdsourced (DSD)"),
    role=TRAIN,
    training="train+test",
    validation="dev",
    lists=(LIST,),
)
