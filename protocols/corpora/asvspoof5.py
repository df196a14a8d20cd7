"""ASVspoof 5, track 1."""

from protocols.corpus import TRAIN, Corpus, Item
from protocols.words import BONAFIDE_OR_SPOOF

LISTS = tuple(f"ASVspoof5.{name}.tsv" for name in ("dev.track_1", "eval.track_1", "train"))
FOLDERS = {"T_": "ASVspoof5_train/flac_T", "D_": "ASVspoof5_dev/flac_D",
           "E_": "ASVspoof5_eval/flac_E_eval"}  # fmt: skip
SPLITS = {"T_": "train", "D_": "valid", "E_": "test"}


def items(source):
    for name in LISTS:
        for where, cells in source.lines(f"ASVspoof5/{name}", fields=10):
            speaker, file_id, attack, key = cells[0], cells[1], cells[7], cells[8]
            folder = source.word(FOLDERS, file_id[:2], where)
            yield Item(
                f"ASVspoof5/{folder}/{file_id}.flac",
                f"{attack}-{file_id}",
                source.word(BONAFIDE_OR_SPOOF, key, where),
                attack=attack,
                speaker=speaker,
                proportion=SPLITS.get(file_id[:2], folder),
                language="EN",
                where=where,
            )


CORPUS = Corpus(
    "ASVspoof5",
    items,
    prefix="ASV5-",
    contents="real+fake",
    folder="ASVspoof5/{*.tsv, ASVspoof5_train/flac_T, ASVspoof5_dev/flac_D, "
    "ASVspoof5_eval/flac_E_eval}/*.flac",
    link="https://zenodo.org/records/14498691 (ODC-By 1.0)",
    sources=("MLS",),
    role=TRAIN,
    training="train+test",
    validation="dev",
    lists=LISTS,
)
