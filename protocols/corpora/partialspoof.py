"""PartialSpoof: utterances of ASVspoof 2019 LA with stretches of spoof, and labels of the parts."""

from protocols.corpus import Corpus, Item
from protocols.words import BONAFIDE_OR_SPOOF, TRAIN_DEV_EVAL

LISTS = tuple(f"PartialSpoof.LA.cm.{part}.trl.txt" for part in TRAIN_DEV_EVAL)
CM, FOLDER = "protocols/PartialSpoof_LA_cm_protocols", "PartialSpoof/database"
STEPS = ("0.01", "0.02", "0.04", "0.08", "0.16", "0.32", "0.64")  # seconds; the finest there is


def items(source):
    for part, name in zip(TRAIN_DEV_EVAL, LISTS, strict=True):
        labels = [f"{FOLDER}/segment_labels/{part}_seglab_{step}.npy" for step in STEPS]
        segments = source.first_file(*labels)
        places = f"{FOLDER}/{CM}/{name}", f"PartialSpoof/{CM}/{name}"
        for where, (speaker, file_id, _, _, key) in source.lines(*places, fields=5):
            yield Item(
                f"{FOLDER}/{part}/con_wav/{file_id}.wav",
                file_id,
                source.word(BONAFIDE_OR_SPOOF, key, where),
                speaker=speaker,
                proportion=TRAIN_DEV_EVAL[part],
                language="EN",
                segments=segments,
                where=where,
            )


CORPUS = Corpus(
    "PartialSpoof",
    items,
    prefix="PartialSpoof-",
    contents="real+fake",
    folder="PartialSpoof/{database/{train,dev,eval}/con_wav/*.wav, "
    "database/segment_labels/*.npy, protocols/PartialSpoof_LA_cm_protocols/*.txt}",
    link="https://zenodo.org/records/5766198",
    sources=("VCTK",),
    lists=LISTS,
    segments=True,
    uncertain="protocols/ is looked for in database/ and beside it",
)
