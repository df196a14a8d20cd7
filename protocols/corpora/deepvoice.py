"""DEEP-VOICE: conversions between public figures, in the published segments.

`python -m protocols deepvoice_segments` cuts them from the Kaggle recordings.
"""

from protocols.corpus import TEST, Corpus, Item

FOLDERS = "DeepVoice/AUDIO_SEGMENTS", "DeepVoice/KAGGLE/AUDIO_SEGMENTS"
LABELS = {"FAKE": "fake", "REAL": "real"}
ATTACKS = {"FAKE": "VC", "REAL": "-"}


def items(source):
    for path, p in source.files(source.folder(*FOLDERS), "{kind}/{stem}.wav"):
        label = source.word(LABELS, p.kind, path)
        attack = ATTACKS.get(p.kind, "-")
        yield Item(path, f"VC_{p.stem}", label, attack=attack, language="EN")


CORPUS = Corpus(
    "DeepVoice",
    items,
    prefix="DeepVoice-",
    contents="real+fake",
    folder="DeepVoice/[KAGGLE/]AUDIO_SEGMENTS/{FAKE,REAL}/<source>_seg_<n>.wav",
    link="https://www.kaggle.com/datasets/birdy654/deep-voice-deepfake-voice-recognition",
    role=TEST,
)
