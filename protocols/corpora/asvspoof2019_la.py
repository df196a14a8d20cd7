"""ASVspoof 2019, logical access."""

from protocols.corpus import TRAIN, Corpus, Item
from protocols.words import BONAFIDE_OR_SPOOF, TRAIN_DEV_EVAL

FOLDER = "ASVspoof2019-LA/LA"
LISTS = tuple(f"ASVspoof2019.LA.cm.{name}.txt" for name in ("train.trn", "dev.trl", "eval.trl"))
PARTS = {"LA_T_": "train", "LA_D_": "dev", "LA_E_": "eval"}


def items(source):
    for name in LISTS:
        lines = source.lines(f"{FOLDER}/ASVspoof2019_LA_cm_protocols/{name}", fields=5)
        for where, (speaker, file_id, _, attack, key) in lines:
            part = source.word(PARTS, file_id[:5], where)
            yield Item(
                f"{FOLDER}/ASVspoof2019_LA_{part}/flac/{file_id}.flac",
                file_id,
                source.word(BONAFIDE_OR_SPOOF, key, where),
                attack=attack,
                speaker=speaker,
                proportion=TRAIN_DEV_EVAL.get(part, part),
                language="EN",
                where=where,
            )


CORPUS = Corpus(
    "ASVspoof2019-LA",
    items,
    prefix="ASV19LA-",
    contents="real+fake",
    folder="ASVspoof2019-LA/LA/{ASVspoof2019_LA_{train,dev,eval}/flac/*.flac, "
    "ASVspoof2019_LA_cm_protocols/*.txt}",
    link="https://datashare.ed.ac.uk/handle/10283/3336 (ODC-By 1.0)",
    sources=("VCTK",),
    role=TRAIN,
    training="train+eval",
    validation="dev",
    lists=LISTS,
)
