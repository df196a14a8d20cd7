"""LlamaPartialSpoof: LibriTTS utterances with words and phrases made by TTS."""

from protocols.corpus import Corpus, Item
from protocols.words import BONAFIDE_OR_SPOOF

SETS = ("R01TTS.0.a", "R01TTS.0.b")
LISTS = tuple(f"label_{name}.txt" for name in SETS)


def items(source):
    for name, labels in zip(SETS, LISTS, strict=True):
        for where, cells in source.lines(f"LlamaPartialSpoof/{labels}", fields=None):
            if len(cells) < 4:
                source.refuse(f"a line of {len(cells)} fields", where)
                continue
            yield Item(
                f"LlamaPartialSpoof/{name}/{cells[0]}.wav",
                f"{name}-{cells[0]}",
                source.word(BONAFIDE_OR_SPOOF, cells[2], where),
                attack="-" if cells[2] == "bonafide" else name,
                proportion="test",
                language="EN",
                segments=source.list_of(where),
                where=where,
            )


CORPUS = Corpus(
    "LlamaPartialSpoof",
    items,
    prefix="LlamaPartialSpoof-",
    contents="real+fake",
    folder="LlamaPartialSpoof/{label_R01TTS.0.{a,b}.txt, R01TTS.0.{a,b}/*.wav}",
    link="https://github.com/hieuthi/LlamaPartialSpoof",
    sources=("LibriTTS",),
    lists=LISTS,
    segments=True,
    uncertain="the names of the label files and folders; a file that is not there is counted",
)
