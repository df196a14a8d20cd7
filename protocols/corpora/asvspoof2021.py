"""ASVspoof 2021, logical access and deep fake.

The key file is `trial_metadata.txt` of the challenge's key package (keys/LA/CM, keys/DF/CM).
"""

from functools import partial

from protocols.corpus import TRAIN, Corpus, Item
from protocols.words import BONAFIDE_OR_SPOOF


def items(source, part, fields):
    top = f"ASVspoof2021-{part}"
    places = f"./{top}.txt", f"{top}/{top}.txt", f"{top}/keys/{part}/CM/trial_metadata.txt"
    for where, cells in source.lines(*places, fields=fields):
        speaker, file_id, _, _, attack, key = cells[:6]
        yield Item(
            f"{top}/ASVspoof2021_{part}_eval/flac/{file_id}.flac",
            file_id,
            source.word(BONAFIDE_OR_SPOOF, key, where),
            attack=attack,  # "bonafide" for real rows of LA, "-" for those of DF
            speaker=speaker,
            proportion="test",
            language="EN",
            where=where,
        )


CORPORA = tuple(
    Corpus(
        f"ASVspoof2021-{part}",
        partial(items, part=part, fields=fields),
        prefix=f"ASV21{part}-",
        contents="real+fake",
        folder=f"ASVspoof2021-{part}/ASVspoof2021_{part}_eval/flac/*.flac",
        link=f"https://zenodo.org/records/{record} (ODC-By 1.0), keys: https://www.asvspoof.org",
        sources=("VCTK",),
        role=TRAIN,
        training="all",
        lists=(f"ASVspoof2021-{part}.txt or trial_metadata.txt",),  # one, under either name
    )
    for part, fields, record in (("LA", 8, 4837263), ("DF", 13, 4835108))
)
