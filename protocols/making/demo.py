"""The embedded demo: voices made of formulas ("real") and their vocoded copies ("fake").

A check of the plumbing, not speech. The layout is that of `protocols/corpora/demo.py`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from protocols.making import channel, vocoders, voice, workshop

FOLDER, REAL = "Demo", "real"
SHARES = {"train": 0.6, "valid": 0.15, "test": 0.25}  # of the speakers
VOCODERS = {
    "train": ("griffin-lim", "pitch-envelope"),
    "valid": ("griffin-lim", "pitch-envelope"),
    "test": ("griffin-lim", "pitch-envelope", "sinusoidal"),  # the last is heard in no training
}
SECONDS = (1.5, 3.5)
SNR_DB = (5.0, 25.0)  # at 30 to 45 dB a tiny network tells every copy apart without an error


@dataclass(frozen=True)
class Recipe:
    """Everything the files depend on; a folder holds the corpus of one recipe."""

    speakers: int = 24
    utterances: int = 12  # a speaker
    seed: int = 1
    version: int = 1  # raise it when the synthesis changes


@dataclass(frozen=True)
class Utterance:
    split: str
    speaker: str
    stem: str

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is made of it: `real` and a copy by each vocoder of its split."""
        return (REAL, *VOCODERS[self.split])

    def path(self, kind: str) -> Path:
        """Below the data folder; `kind` is `real` or the vocoder's name."""
        place = (REAL,) if kind == REAL else ("fake", kind)
        return Path(FOLDER, self.split, *place, self.speaker, f"{self.stem}.flac")


def plan(recipe: Recipe) -> list[Utterance]:
    """The utterances of a corpus: no speaker is in two splits, each split has at least one."""
    valid, test = (max(1, round(SHARES[split] * recipe.speakers)) for split in ("valid", "test"))
    splits = ["valid"] * valid + ["test"] * test
    splits = ["train"] * (recipe.speakers - len(splits)) + splits
    return [
        Utterance(split, f"V{number:03d}", f"V{number:03d}-{take:03d}")
        for number, split in enumerate(splits, start=1)
        for take in range(1, recipe.utterances + 1)
    ]


def missing_kinds(utterance: Utterance, data_folder: Path) -> list[str]:
    return [k for k in utterance.kinds if not (data_folder / utterance.path(k)).exists()]


def make_utterance(utterance: Utterance, *, recipe: Recipe, data_folder: Path) -> None:
    """The voice and its copies, as far as their files are missing."""
    seeded = partial(workshop.seeded, recipe.seed)
    rng = seeded(utterance.stem)
    speaker = voice.draw_speaker(seeded(utterance.speaker))
    tracks = voice.draw_tracks(speaker, rng.uniform(*SECONDS), rng)
    source = voice.synthesise(speaker, tracks, rng)
    source = channel.reverberate(source, channel.draw_room(rng))
    for kind in missing_kinds(utterance, data_folder):
        rng = seeded(utterance.stem, kind)
        waveform = source if kind == REAL else vocoders.VOCODERS[kind](source, rng)
        finished = channel.finish(waveform, rng, snr_db=SNR_DB)
        workshop.write_flac(data_folder / utterance.path(kind), finished)


def make(data_folder: Path, recipe: Recipe, *, workers: int) -> None:
    """All files of the corpus below `data_folder`; what is there is kept."""
    workshop.check_manifest(data_folder / FOLDER, asdict(recipe))
    work = partial(make_utterance, recipe=recipe, data_folder=data_folder)
    jobs = [utterance for utterance in plan(recipe) if missing_kinds(utterance, data_folder)]
    workshop.map_parallel(work, jobs, workers=workers, title="demo voices")
