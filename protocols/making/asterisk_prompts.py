"""Human telephone prompts, and fakes made of them and beside them.

Real: the prompts of Debian's asterisk-core-sounds packages, one voice a language. Fake: TTS that
reads this project's own sentences, and copy-synthesis of the prompts. Kept for the test set are
one language (all of RU), one TTS engine (flite) and one vocoder (griffin-lim); a prompt's copies
are in its own split, and no sentence is read in two splits of a language.

So that nothing but the speech tells the classes apart, every file is trimmed, limited to the same
band, laid between drawn silences, given drawn noise and a drawn level, and coded in G.722; TTS
is coded once more before, as the prompts were before they came here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from dataio.schema import SAMPLE_RATE, UserError
from protocols.making import channel, tts, vocoders, workshop
from protocols.making.g722 import read_g722, through_g722

FOLDER = "Asterisk"
SOUNDS_FOLDER = "/usr/share/asterisk/sounds"
LANGUAGES = ("EN", "ES", "FR", "IT", "RU")
PACKAGES = [f"asterisk-core-sounds-{language.lower()}-g722" for language in LANGUAGES]
APT_LINE = "apt-get install " + " ".join([*PACKAGES, *tts.ENGINES])

UNSEEN_LANGUAGE, UNSEEN_ENGINE, UNSEEN_VOCODER = "RU", "flite", "griffin-lim"
PROMPT_SHARES = {"train": 0.55, "valid": 0.15, "test": 0.30}
SENTENCE_TURNS = (  # the k-th sentence of a language takes turn k mod 10
    "train", "test", "valid", "train", "test", "train", "test", "train", "test", "train",
)  # fmt: skip
JOINED = 0.3  # of the readings go on with the next sentence: prompts spread from 1 to 10 s too
ESPEAK_SPEAKERS = {  # espeak-ng variants: every split has its own
    "train": ("m1", "m3", "f1", "f3"),
    "valid": ("m4", "f4"),
    "test": ("m2", "m7", "f2", "f5"),
}
COPIES = {"train": ("world",), "valid": ("world",), "test": ("world", UNSEEN_VOCODER)}
PROMPT_SECONDS = (1.0, 10.0)
SNR_DB = (28.0, 45.0)  # hides where the sources' own noise floors end, and nothing of the speech
NOT_SPEECH = re.compile(r"(^|/)(silence/|beep|ascending-|descending-|tt-monkeys|conf-beep)")


@dataclass(frozen=True)
class Recipe:
    """What the files depend on; `limit`: the most prompts and sentences a language, 0 = all."""

    seed: int = 1
    prompts: int = 160  # a language
    limit: int = 0
    version: int = 1  # raise it when the making changes


@dataclass(frozen=True)
class Prompt:
    """A human recording and its copies by vocoders."""

    split: str
    language: str
    speaker: str  # the voice folder's name
    stem: str
    file: str

    def outputs(self) -> dict[str, Path]:
        """`real` and each vocoder, and its file below the data folder."""
        name = Path(self.language, self.speaker, f"{self.stem}.flac")
        top = Path(FOLDER, self.split)
        copies = {kind: top / "fake" / kind / name for kind in COPIES[self.split]}
        return {"real": top / "real" / name, **copies}

    def source(self, seed: int) -> np.ndarray:
        return channel.trim(channel.band_limit(read_g722(self.file)))


@dataclass(frozen=True)
class Reading:
    """A sentence read by a TTS voice."""

    split: str
    language: str
    engine: str
    speaker: str  # an espeak-ng variant or a flite voice
    stem: str
    text: str

    def outputs(self) -> dict[str, Path]:
        name = Path(self.language, f"{self.engine}-{self.speaker}", f"{self.stem}.flac")
        return {"speech": Path(FOLDER, self.split, "fake", self.attack, name)}

    @property
    def attack(self) -> str:
        return f"flite-{self.speaker}" if self.engine == "flite" else self.engine

    def source(self, seed: int) -> np.ndarray:
        """The reading, at the pace and pitch drawn for this voice in this language."""
        rng = workshop.seeded(seed, self.engine, self.language, self.speaker)
        if self.engine == "flite":
            waveform = tts.flite(self.text, self.speaker, stretch=rng.uniform(0.9, 1.15))
        else:
            pitch, pace = int(rng.integers(35, 66)), int(rng.integers(140, 186))
            waveform = tts.espeak(
                self.text, self.language, self.speaker, pitch=pitch, words_per_minute=pace
            )
        waveform = channel.to_level(channel.band_limit(waveform), channel.LEVEL_DBFS[1])
        return channel.trim(through_g722(waveform))


def plan(recipe: Recipe, sounds_folder: Path) -> list[Prompt | Reading]:
    """All files to make; the same for the same recipe, packages and sentences."""
    voices = find_voices(sounds_folder)
    jobs: list[Prompt | Reading] = []
    for language in LANGUAGES:
        jobs += plan_prompts(recipe, language, voices[language])
        jobs += plan_readings(recipe, language)
    return jobs


def find_voices(sounds_folder: Path) -> dict[str, Path]:
    """The voice folder of each language, such as `en_US_f_Allison`; all five must be there."""
    found = {}
    for folder in sorted(Path(sounds_folder).glob("[a-z][a-z]_[A-Z][A-Z]_*")):
        if any(folder.glob("*.g722")):
            found.setdefault(folder.name[:2].upper(), folder)
    missing = [language for language in LANGUAGES if language not in found]
    if missing:
        raise UserError(
            f"no G.722 prompts of {', '.join(missing)} in {sounds_folder}: as root, {APT_LINE}"
        )
    return found


def plan_prompts(recipe: Recipe, language: str, folder: Path) -> list[Prompt]:
    """A seeded choice of the voice's prompts, dealt to the splits."""
    shortest, longest = (seconds * SAMPLE_RATE / 2 for seconds in PROMPT_SECONDS)  # bytes
    files = [
        path
        for path in sorted(folder.rglob("*.g722"))
        if shortest <= path.stat().st_size <= longest
        and not NOT_SPEECH.search(path.relative_to(folder).as_posix())
    ]
    order = workshop.seeded(recipe.seed, "prompts", language).permutation(len(files))
    chosen = [files[index] for index in order[: recipe.limit or recipe.prompts]]
    return [
        Prompt(
            split="test" if language == UNSEEN_LANGUAGE else _share(place, len(chosen)),
            language=language,
            speaker=folder.name,
            stem=path.relative_to(folder).with_suffix("").as_posix().replace("/", "-"),
            file=str(path),
        )
        for place, path in enumerate(chosen)
    ]


def _share(place: int, total: int) -> str:
    """The split of the `place`-th of `total` prompts: test first, then valid, each at least one."""
    test, valid = (max(1, round(PROMPT_SHARES[split] * total)) for split in ("test", "valid"))
    return "test" if place < test else "valid" if place < test + valid else "train"


def plan_readings(recipe: Recipe, language: str) -> list[Reading]:
    """Every sentence by two espeak-ng voices of its split; English test ones by flite as well."""
    jobs = []
    for split, numbers in _deal_sentences(recipe, language).items():
        rng = workshop.seeded(recipe.seed, "readings", language, split)
        texts = sentences(language)
        for place, number in enumerate(numbers):
            text, stem = texts[number], f"s{number + 1:03d}"
            if rng.random() < JOINED:
                text += " " + texts[numbers[(place + 1) % len(numbers)]]
            speakers = np.roll(ESPEAK_SPEAKERS[split], -place)[:2].tolist()
            voices = [("espeak-ng", speaker) for speaker in speakers]
            if language == "EN" and split == "test":
                voices += [(UNSEEN_ENGINE, voice) for voice in tts.FLITE_VOICES]
            jobs += [Reading(split, language, *voice, stem, text) for voice in voices]
    return jobs


def _deal_sentences(recipe: Recipe, language: str) -> dict[str, list[int]]:
    """Split -> numbers of its sentences; all of the unseen language are for the test."""
    dealt: dict[str, list[int]] = {split: [] for split in workshop.SPLITS}
    for number in range(len(sentences(language)[: recipe.limit or None])):
        turn = SENTENCE_TURNS[number % len(SENTENCE_TURNS)]
        dealt["test" if language == UNSEEN_LANGUAGE else turn].append(number)
    return dealt


def sentences(language: str) -> list[str]:
    """The project's own sentences of a language, one a line."""
    path = Path(__file__).with_name("sentences") / f"{language.lower()}.txt"
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def make_job(job: Prompt | Reading, *, seed: int, data_folder: Path) -> None:
    """The files of a job that are missing."""
    source = job.source(seed)
    if len(source) < SAMPLE_RATE // 5:
        raise UserError(f"{job} holds less than 0.2 s of sound: is its package or engine whole?")
    for kind, path in missing_outputs(job, data_folder).items():
        rng = workshop.seeded(seed, path.as_posix())
        make = vocoders.VOCODERS.get(kind)
        waveform = channel.trim(channel.band_limit(make(source, rng))) if make else source
        waveform = channel.between_silences(waveform, rng)
        finished = channel.finish(waveform, rng, snr_db=SNR_DB)
        workshop.write_flac(data_folder / path, through_g722(finished))


def missing_outputs(job: Prompt | Reading, data_folder: Path) -> dict[str, Path]:
    outputs = job.outputs().items()
    return {kind: path for kind, path in outputs if not (data_folder / path).exists()}


def require_engines() -> dict[str, str]:
    """The versions of the TTS engines; `UserError` where one, or WORLD, is not installed."""
    try:
        engines = tts.engine_versions()
    except FileNotFoundError as missing:
        raise UserError(f"{missing} is not installed: as root, {APT_LINE}") from None
    vocoders.require_world()
    return engines


def make(data_folder: Path, recipe: Recipe, *, sounds_folder: Path, workers: int) -> None:
    """All files of the corpus below `data_folder`; what is there is kept."""
    engines = require_engines()
    jobs = plan(recipe, sounds_folder)
    workshop.check_manifest(data_folder / FOLDER, {**vars(recipe), "engines": engines})
    work = partial(make_job, seed=recipe.seed, data_folder=data_folder)
    missing = [job for job in jobs if missing_outputs(job, data_folder)]
    workshop.map_parallel(work, missing, workers=workers, title="prompts and readings")
