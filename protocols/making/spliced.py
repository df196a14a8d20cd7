"""Human prompts in which a word or phrase is fake, with labels of the parts to the millisecond.

Of each prompt four files: as it is; with a stretch of another prompt of the voice (human with
human, all of it real: a seam alone is no fake); with a stretch of TTS in its language; with a
stretch of its own copy by a vocoder. Prompts, sentences, splits and the path to a file are those of
`asterisk_prompts`: the test set alone has one language (RU), one engine (flite) and one vocoder
(griffin-lim).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from dataio.schema import SAMPLE_RATE
from dataio.whole_files import write_text
from protocols.making import asterisk_prompts, channel, splicing, vocoders, workshop
from protocols.making.asterisk_prompts import SNR_DB, Prompt, Reading, Recipe
from protocols.making.g722 import through_g722

FOLDER = "Spliced"
KINDS = ("whole", "human", "tts", "vocoded")
BONA_FIDE = ("whole", "human")


@dataclass(frozen=True)
class Splice:
    """A prompt, what may be put into it, and the vocoder of its copy."""

    prompt: Prompt
    other: Prompt
    reading: Reading
    vocoder: str

    def outputs(self) -> dict[str, Path]:
        """Each kind and its file below the data folder; labels lie beside it, as .txt."""
        attacks = {"tts": self.reading.attack, "vocoded": self.vocoder}
        name = Path(self.prompt.language, self.prompt.speaker, f"{self.prompt.stem}.flac")
        top = Path(FOLDER, self.prompt.split)
        return {kind: top / kind / attacks.get(kind, "-") / name for kind in KINDS}


def plan(recipe: Recipe, sounds_folder: Path) -> list[Splice]:
    """All files to make: donors are of the prompt's own split and language."""
    jobs = asterisk_prompts.plan(recipe, sounds_folder)
    groups: dict[tuple[str, str], tuple[list[Prompt], list[Reading]]] = {}
    for job in jobs:
        of_group = groups.setdefault((job.split, job.language), ([], []))
        of_group[isinstance(job, Reading)].append(job)
    return [
        splice
        for (split, language), (prompts, readings) in groups.items()
        for splice in _pairs(recipe, split, language, prompts, readings)
    ]


def _pairs(recipe, split, language, prompts, readings) -> Iterator[Splice]:
    rng = workshop.seeded(recipe.seed, "splices", split, language)
    turns = rng.permutation(len(readings)) if readings else []
    for place, prompt in enumerate(prompts):
        if not len(turns):
            return
        yield Splice(
            prompt,
            prompts[(place + 1) % len(prompts)],
            readings[turns[place % len(turns)]],
            asterisk_prompts.COPIES[split][place % len(asterisk_prompts.COPIES[split])],
        )


def make_job(job: Splice, *, seed: int, data_folder: Path) -> None:
    """The files of a job that are missing, labels first: a sound that is there is whole."""
    host = job.prompt.source(seed)
    for kind, path in missing_outputs(job, data_folder).items():
        rng = workshop.seeded(seed, path.as_posix())
        waveform, stretch = spliced(job, kind, host, rng, seed)
        before, after = channel.draw_silences(rng)
        finished = channel.finish(channel.surrounded(waveform, before, after), rng, snr_db=SNR_DB)
        bounds = [place + before for place in stretch] if kind not in BONA_FIDE else []
        write_text((data_folder / path).with_suffix(".txt"), label_text(len(finished), bounds))
        workshop.write_flac(data_folder / path, through_g722(finished))


def spliced(
    job: Splice, kind: str, host: np.ndarray, rng: np.random.Generator, seed: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """The prompt with what its kind puts in, and where that is (samples)."""
    if kind == "whole":
        return host, (0, 0)
    start, end = splicing.draw_stretch(host, rng)
    if kind == "vocoded":
        copy = channel.band_limit(vocoders.VOCODERS[job.vocoder](host, rng))
        insert = np.pad(copy, (0, max(0, len(host) - len(copy))))[start:end]
    else:
        donor = (job.other if kind == "human" else job.reading).source(seed)
        first, last = splicing.draw_stretch(donor, rng)
        insert = donor[first:last]
    return splicing.splice(host, start, end, insert), (start, start + len(insert))


def label_text(length: int, bounds: list[int]) -> str:
    """Audacity's labels of a file of so many samples; `bounds` are of its fake stretch, if any."""
    edges = [0, *bounds, length]
    words = ("bonafide", "spoof", "bonafide")
    return "".join(
        f"{start / SAMPLE_RATE:.3f}\t{end / SAMPLE_RATE:.3f}\t{word}\n"
        for start, end, word in zip(edges, edges[1:], words, strict=False)
    )


def missing_outputs(job: Splice, data_folder: Path) -> dict[str, Path]:
    outputs = job.outputs().items()
    return {kind: path for kind, path in outputs if not (data_folder / path).exists()}


def make(data_folder: Path, recipe: Recipe, *, sounds_folder: Path, workers: int) -> None:
    """All files of the corpus below `data_folder`; what is there is kept."""
    engines = asterisk_prompts.require_engines()
    jobs = plan(recipe, sounds_folder)
    workshop.check_manifest(data_folder / FOLDER, {**vars(recipe), "engines": engines})
    work = partial(make_job, seed=recipe.seed, data_folder=data_folder)
    missing = [job for job in jobs if missing_outputs(job, data_folder)]
    workshop.map_parallel(work, missing, workers=workers, title="spliced prompts")
