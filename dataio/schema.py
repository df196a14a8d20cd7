"""The 12-column protocol: one row an utterance, and the words every other module shares.

This is the one home of the label convention (1 = real, 0 = fake; larger score = more likely
real) and of the working sample rate. It imports nothing heavier than the standard library.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from dataio.words import shown

SAMPLE_RATE = 16_000  # Hz, what every front end is fed
REAL, FAKE, UNKNOWN = 1, 0, -1
LABELS = {"real": REAL, "fake": FAKE}
# what corpora and other toolkits call the classes; 0 and 1 mean opposite things in them
FOREIGN_LABELS = dict.fromkeys(("bonafide", "bona-fide", "genuine", "real", "human"), REAL)
FOREIGN_LABELS |= dict.fromkeys(("spoof", "fake", "deepfake"), FAKE)
UNLABELLED = ("-", "")  # words of the Label column that mean "not known": scored, never measured

COLUMNS = (
    "ID", "Label", "Duration", "SampleRate", "Path", "Attack", "Speaker", "Proportion",
    "AudioChannel", "AudioEncoding", "AudioBitSample", "Language",
)  # fmt: skip
SEGMENTS = "Segments"  # a 13th column of some: the label file of the recording's parts, or `-`
ROOT = "$ROOT"


class UserError(Exception):
    """A mistake in what the user gave (a file, a key, a folder).

    The message is one sentence that names the culprit, its place and the remedy; command lines
    print it without a traceback and exit with status 2. Strangers' words in it are quoted as
    `dataio.words` shows them.
    """

    def __str__(self) -> str:
        return shown(super().__str__())


@dataclass(slots=True)
class Row:
    """One utterance; the fields are the CSV's columns, in their order.

    `duration` in seconds (2 decimals when written), `sample_rate` in Hz, `path` begins with
    `$ROOT/`; `-` stands for "none or unknown" in attack, speaker, proportion and language.
    `segments`, of protocols that have the column, is the path of a label file.
    """

    id: str
    label: str
    duration: float
    sample_rate: int
    path: str
    attack: str = "-"
    speaker: str = "-"
    proportion: str = "-"
    channels: int = 1
    encoding: str = "PCM_S"
    bits: int = 16
    language: str = "-"
    segments: str = "-"

    def cells(self, columns: tuple[str, ...] = COLUMNS) -> list[str]:
        """The row as CSV cells, in the order of `COLUMNS`, the last of which may be `SEGMENTS`."""
        values = list(astuple(self))[: len(columns)]
        values[2] = str(round(float(self.duration), 2))
        return [str(value) for value in values]


def label_to_int(word: str, where: str) -> int:
    """1 for `real`, 0 for `fake`, -1 for an unlabelled row; `where` (file, line) is for errors."""
    if word in LABELS:
        return LABELS[word]
    if word in UNLABELLED:
        return UNKNOWN
    raise UserError(f"unknown label {word!r} in {where}: expected 'real', 'fake' or '-'")


def foreign_label(word: str, where: str) -> int:
    """1 or 0 for a class as corpora and other toolkits write it; `UserError` for another word."""
    if word in FOREIGN_LABELS:
        return FOREIGN_LABELS[word]
    hint = " (0 and 1 mean opposite things in different toolkits)" if word in ("0", "1") else ""
    raise UserError(f"{where}: label {word!r}{hint}: expected {', '.join(FOREIGN_LABELS)}")


def subset_of(utterance_id: str) -> str:
    """The database an ID belongs to: the text before its first hyphen."""
    return utterance_id.partition("-")[0]


def resolve_path(path: str, data_folder: str) -> str:
    """A protocol path with `$ROOT` replaced by `data_folder`; `$ROOT//` of old CSVs is accepted."""
    if path == ROOT or path.startswith(ROOT + "/"):
        return data_folder.rstrip("/") + "/" + path[len(ROOT) :].lstrip("/")
    return path
