"""The release's demonstration data: ASVspoof 2019 excerpts in wav, three protocol files."""

from protocols.corpus import Corpus, Item
from protocols.words import BONAFIDE_OR_SPOOF

FOLDERS = {"LA_T_": "train_dev", "LA_D_": "train_dev", "LA_E_": "eval"}
SPLITS = {"LA_T_": "train", "LA_D_": "valid", "LA_E_": "test"}


def items(source):
    for where, cells in source.lines("toy_example/protocol.txt", fields=5):
        speaker, file_id, _, attack, key = cells
        folder = source.word(FOLDERS, file_id[:5], where)
        yield Item(
            f"toy_example/{folder}/{file_id}.wav",
            file_id,
            source.word(BONAFIDE_OR_SPOOF, key, where),
            attack=attack,
            speaker=speaker,
            proportion=SPLITS.get(file_id[:5], folder),
            language="EN",
            where=where,
        )


CORPUS = Corpus(
    "toy_example",
    items,
    prefix="ASV19LAdemo-",
    contents="real+fake",
    folder="toy_example/{protocol.txt, train_dev/*.wav, eval/*.wav}",
    link="comes with the AntiDeepfake release",
    sources=("ASVspoof2019-LA",),
    lists=("protocol.txt",),
    split_files=True,
)
