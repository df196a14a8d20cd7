"""The real-speech corpus: its plan on made-up packages, and the whole of it where they exist."""

import csv
import shutil
from collections import defaultdict

import numpy as np
import pytest
import soundfile
from scipy.stats import ks_2samp

from dataio.schema import SAMPLE_RATE, UserError, resolve_path
from protocols.__main__ import main
from protocols.making import asterisk_prompts, g722, tts
from protocols.making.asterisk_prompts import APT_LINE, Prompt, Reading, Recipe, plan

SPLITS = ("train", "valid", "test")
VOICES = ("en_US_f_A", "es_MX_f_A", "fr_CA_f_J", "it_IT_m_C", "ru_RU_f_I")


def encode_g722(seconds: float) -> bytes:
    """A tone as raw G.722: one byte for two samples."""
    import av

    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    encoder = av.CodecContext.create("g722", "w")
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "mono", "s16"
    samples = np.round(tone * 32767).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
    frame.sample_rate = SAMPLE_RATE
    return b"".join(bytes(packet) for packet in encoder.encode(frame))


@pytest.fixture
def sounds(tmp_path):
    """Five voices of twenty prompts, and files that are no prompts."""
    speech = encode_g722(1.5)
    for voice in VOICES:
        folder = tmp_path / "sounds" / voice
        for sub in ("digits", "silence"):
            (folder / sub).mkdir(parents=True)
        for number in range(18):
            (folder / f"vm-{number}.g722").write_bytes(speech)
        (folder / "digits" / "20.g722").write_bytes(speech)
        (folder / "digits" / "30.g722").write_bytes(speech)
        for name in ("beep", "silence/2", "tt-monkeys", "ascending-2tone"):
            (folder / f"{name}.g722").write_bytes(speech)
        (folder / "short.g722").write_bytes(speech[:4000])  # 0.5 s
        (folder / "endless.g722").write_bytes(speech * 10)
    return tmp_path / "sounds"


def test_prompts_are_read_at_16_khz(tmp_path):
    path = tmp_path / "tone.g722"
    path.write_bytes(encode_g722(1.0))
    waveform = g722.read_g722(path)
    assert len(waveform) == SAMPLE_RATE
    assert np.argmax(np.abs(np.fft.rfft(waveform))) == 440
    assert np.sqrt(2 * np.mean(waveform**2)) == pytest.approx(0.3, rel=0.02)


def test_a_file_that_holds_nothing_is_refused_by_name(tmp_path):
    (tmp_path / "empty.g722").write_bytes(b"")
    with pytest.raises(UserError, match="empty.g722"):
        g722.read_g722(tmp_path / "empty.g722")


def test_the_round_trip_keeps_length_and_alignment():
    rng = np.random.default_rng(0)
    smooth = np.convolve(rng.standard_normal(5001), np.hanning(21), "same")
    smooth *= 0.2 / np.abs(smooth).max()
    coded = g722.through_g722(smooth)
    assert coded.shape == smooth.shape
    noise = coded - smooth
    assert np.mean(smooth**2) > 100 * np.mean(noise**2)  # one sample late and it would be 1.5
    assert np.abs(noise).max() > 0


def test_the_plan_keeps_one_language_engine_and_vocoder_for_the_test(sounds):
    jobs = plan(Recipe(), sounds)
    seen = [job for job in jobs if job.split != "test"]
    assert {job.language for job in seen} == {"EN", "ES", "FR", "IT"}
    assert {job.language for job in jobs} - {job.language for job in seen} == {"RU"}
    engines = {job.engine for job in seen if isinstance(job, Reading)}
    assert engines == {"espeak-ng"}
    copies = {kind for job in seen if isinstance(job, Prompt) for kind in job.outputs()}
    assert copies == {"real", "world"}
    test = [job for job in jobs if job.split == "test"]
    attacks = {job.attack for job in test if isinstance(job, Reading)}
    assert attacks == {"espeak-ng", *(f"flite-{voice}" for voice in tts.FLITE_VOICES)}
    copies = {kind for job in test if isinstance(job, Prompt) for kind in job.outputs()}
    assert copies == {"real", "world", "griffin-lim"}


def test_every_slice_of_seen_and_unseen_attack_and_language_is_in_the_test(sounds):
    cells = defaultdict(int)
    for job in plan(Recipe(), sounds):
        if job.split != "test":
            continue
        for kind in job.outputs():
            unseen = kind == "griffin-lim" or getattr(job, "engine", "") == "flite"
            cells[kind == "real", unseen, job.language == "RU"] += 1
    assert len(cells) == 6  # real in two kinds of language, fake in two by two
    assert min(cells.values()) >= 20


def test_a_prompt_and_its_copies_share_a_split_and_no_prompt_or_sentence_is_in_two(sounds):
    places, texts, voices = defaultdict(set), defaultdict(set), defaultdict(set)
    for job in plan(Recipe(), sounds):
        for path in job.outputs().values():
            assert path.parts[1] == job.split
        if isinstance(job, Prompt):
            places[job.file].add(job.split)
        else:
            for sentence in asterisk_prompts.sentences(job.language):
                if sentence in job.text:
                    texts[job.language, sentence].add(job.split)
            voices[job.engine, job.speaker].add(job.split)
    assert len(places) == 100
    assert len(texts) == 340
    for owners in (places, texts, voices):
        assert all(len(splits) == 1 for splits in owners.values())


def test_tones_silence_and_odd_lengths_are_no_prompts(sounds):
    stems = {job.stem for job in plan(Recipe(), sounds) if isinstance(job, Prompt)}
    assert stems == {f"vm-{number}" for number in range(18)} | {"digits-20", "digits-30"}


def test_shares_of_the_prompts(sounds):
    prompts = [job for job in plan(Recipe(), sounds) if isinstance(job, Prompt)]
    english = [job.split for job in prompts if job.language == "EN"]
    assert [english.count(split) for split in SPLITS] == [11, 3, 6]
    limited = [job for job in plan(Recipe(limit=4), sounds) if job.language == "FR"]
    assert {job.split for job in limited if isinstance(job, Prompt)} == set(SPLITS)
    assert {job.split for job in limited if isinstance(job, Reading)} == set(SPLITS)
    assert len([job for job in limited if isinstance(job, Prompt)]) == 4


def test_the_plan_is_the_same_for_the_same_seed_only(sounds):
    assert plan(Recipe(), sounds) == plan(Recipe(), sounds)
    assert plan(Recipe(), sounds) != plan(Recipe(seed=2), sounds)


def test_no_two_jobs_write_the_same_file(sounds):
    paths = [path for job in plan(Recipe(), sounds) for path in job.outputs().values()]
    assert len(paths) == len(set(paths))


def test_there_are_sixty_sentences_a_language_and_none_twice():
    for language in asterisk_prompts.LANGUAGES:
        sentences = asterisk_prompts.sentences(language)
        assert len(set(sentences)) == len(sentences) >= 60
        assert all(10 <= len(sentence) <= 60 for sentence in sentences)


def test_missing_packages_are_named_with_the_line_that_installs_them(sounds, tmp_path, capsys):
    shutil.rmtree(sounds / "fr_CA_f_J")
    with pytest.raises(UserError, match="asterisk-core-sounds-fr-g722") as error:
        plan(Recipe(), sounds)
    assert APT_LINE in str(error.value) and "FR" in str(error.value)


def test_a_missing_engine_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tts.shutil, "which", lambda name: None)
    folders = ["--data_folder", str(tmp_path), "--output_folder", str(tmp_path)]
    assert main(["make", "asterisk_prompts", *folders]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: espeak-ng is not installed") and APT_LINE in message
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- with the packages installed


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asterisk")
    assert make(folder, "--limit", "10") == 0
    return folder


def make(folder, *options):
    command = ["make", "asterisk_prompts", "--data_folder", str(folder / "Data")]
    return main([*command, "--output_folder", str(folder / "protocols"), *options])


def read(folder):
    rows = []
    for split in SPLITS:
        with open(folder / "protocols" / f"{split}.csv", newline="") as file:
            found = list(csv.DictReader(file))
        assert {row["Proportion"] for row in found} == {split}
        rows += found
    return rows


@pytest.mark.needs("speech", "pyworld")
@pytest.mark.slow
def test_the_corpus_is_complete_and_its_columns_filled(corpus):
    rows = read(corpus)
    assert len(rows) == len(list((corpus / "Data").rglob("*.flac")))
    assert len({row["ID"] for row in rows}) == len(rows)
    for row in rows:
        assert row["ID"].startswith("Asterisk-")
        assert row["Speaker"] != "-" and row["Language"] in asterisk_prompts.LANGUAGES
        assert (row["Label"] == "real") == (row["Attack"] == "-")
        info = soundfile.info(resolve_path(row["Path"], str(corpus / "Data")))
        assert (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE, 1, "PCM_16")
        assert 0.3 < info.duration < 12
    attacks = {row["Attack"] for row in rows} - {"-"}
    assert attacks == {
        "espeak-ng",
        "world",
        "griffin-lim",
        *map("flite-{}".format, tts.FLITE_VOICES),
    }
    speakers = {row["Speaker"] for row in rows if row["Attack"] in ("-", "world", "griffin-lim")}
    assert len(speakers) == 5  # the copies carry their source's name


@pytest.mark.needs("speech", "pyworld")
@pytest.mark.slow
def test_level_and_silence_do_not_tell_the_classes_apart(corpus):
    found = {"real": [], "fake": []}
    for row in read(corpus):
        waveform, _ = soundfile.read(resolve_path(row["Path"], str(corpus / "Data")))
        blocks = waveform[: len(waveform) // 160 * 160].reshape(-1, 160)
        power = np.mean(blocks**2, axis=1)
        active = np.flatnonzero(power > power.max() * 10**-2.5)
        rms = np.sqrt(np.mean(waveform**2))
        found[row["Label"]].append((rms, waveform.mean() / rms, active[0], np.sqrt(power[1]) / rms))
    real, fake = np.array(found["real"]), np.array(found["fake"])
    for column, name in enumerate(("level", "offset", "leading silence", "noise before speech")):
        assert ks_2samp(real[:, column], fake[:, column]).pvalue > 0.01, name


@pytest.mark.needs("speech", "pyworld")
@pytest.mark.slow
def test_a_file_made_again_has_the_same_bytes(corpus):
    files = sorted((corpus / "Data").rglob("*.flac"))
    chosen = {path: path.read_bytes() for path in files[:: len(files) // 12]}
    for path in chosen:
        path.unlink()
    assert make(corpus, "--limit", "10", "--num_workers", "1") == 0
    assert {path: path.read_bytes() for path in chosen} == chosen
