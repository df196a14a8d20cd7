"""Every property that gives the class away is named, and a sound set is left in peace."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.stats import mannwhitneyu

from dataio.schema import COLUMNS
from protocols.measure import Measured, measure
from protocols.shortcuts import Shortcuts, auc_and_p, is_shortcut

RATE = 16000


@pytest.mark.parametrize("sizes", [(6, 7), (30, 40), (300, 500)])
@pytest.mark.parametrize("decimals", [9, 0])
def test_auc_and_p_are_mann_and_whitneys(sizes, decimals):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0.9, 1, sizes[0]), rng.normal(0, 1, sizes[1])
    real, fake = real.round(decimals), fake.round(decimals)
    method = "exact" if sum(sizes) < 20 and decimals else "asymptotic"
    expected = mannwhitneyu(real, fake, method=method, use_continuity=False)
    auc, p = auc_and_p(real, fake)
    assert auc == pytest.approx(expected.statistic / (sizes[0] * sizes[1]))
    counted = sum(sizes) <= 400 and method == "asymptotic"  # by relabelling: the law is near it
    assert p == pytest.approx(expected.pvalue, rel=1e-6, abs=0.02 if counted else 0)


def test_p_of_few_files_is_counted_over_all_label_orders():
    assert auc_and_p([4, 5, 6], [1, 2, 3]) == (1.0, 2 / 20)
    assert auc_and_p([1, 1], [1, 1, 1]) == (0.5, 1.0)


def measured(rng, **changed):
    """A file of a sound set: its properties have one law, whatever the class."""
    ends = dict(zip(("leading_silence", "trailing_silence"), rng.exponential(0.1, 2), strict=True))
    file = Measured(
        sample_rate=RATE, channels=1, encoding="PCM_S", bits=16, seconds=rng.gamma(4.0),
        peak=0.5, mono_peak=rng.uniform(0.2, 1), offset=rng.normal(0, 1e-3), clipped=0.0,
        level_db=rng.normal(-25, 4), pause_db=rng.normal(-60, 8), bandwidth=8000.0, **ends,
    )  # fmt: skip
    return replace(file, **changed)


def shortcuts_of(real, fake, endings=(".wav", ".wav")):
    found = Shortcuts()
    for label, files, ending in zip(("real", "fake"), (real, fake), endings, strict=True):
        for number, file in enumerate(files):
            found.add(label, f"$ROOT/{label}/{number}{ending}", file)
    return [name for name, s in found.separations().items() if is_shortcut(name, s)]


@pytest.mark.parametrize("sizes", [(3, 3), (8, 8), (20, 60), (150, 150)])
def test_a_sound_set_is_let_pass_whatever_its_size(sizes):
    """1 % of false alarms for the numbers together; counted over sets of independent files."""
    rng, sets = np.random.default_rng(1), 60
    alarms = 0
    for _ in range(sets):
        real, fake = ([measured(rng) for _ in range(size)] for size in sizes)
        alarms += bool(shortcuts_of(real, fake))
    assert alarms <= 2  # of 60 at 1 %: more than two in 2 of 100 runs at most


PLANTED = {
    "sample rate": {"sample_rate": 22050}, "encoding": {"encoding": "MP3"}, "bits": {"bits": 24},
    "channels": {"channels": 2}, "length": {"seconds": 30.0}, "level": {"level_db": -45.0},
    "peak": {"mono_peak": 0.01}, "bandwidth": {"bandwidth": 4000.0}, "offset": {"offset": 0.02},
    "level of pauses": {"pause_db": -120.0}, "leading silence": {"leading_silence": 2.0},
    "trailing silence": {"trailing_silence": 2.0}, "clipped": {"clipped": 0.01},
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_property_is_named_and_no_other(name):
    rng = np.random.default_rng(2)
    real = [measured(rng) for _ in range(12)]
    assert shortcuts_of(real, [measured(rng, **PLANTED[name]) for _ in range(12)]) == [name]


def test_a_container_is_told_by_its_name():
    rng = np.random.default_rng(3)
    sets = ([measured(rng) for _ in range(6)] for _ in range(2))
    assert shortcuts_of(*sets, endings=(".flac", ".wav")) == ["container"]


def test_a_weak_difference_of_many_files_is_no_shortcut():
    rng = np.random.default_rng(4)
    louder = [measured(rng, level_db=rng.normal(-24, 4)) for _ in range(1000)]
    assert shortcuts_of(louder, [measured(rng) for _ in range(1000)]) == []


def speech(rng, seconds=0.6, rate=RATE, highest=7000):
    """Noise in a band, with an envelope."""
    spectrum = np.fft.rfft(rng.normal(size=round(seconds * rate)))
    spectrum[np.fft.rfftfreq(round(seconds * rate), 1 / rate) > highest] = 0
    samples = np.fft.irfft(spectrum)
    return 0.3 * samples / abs(samples).max()


@pytest.mark.parametrize(
    "rate, highest, expected", [(16000, 3400, 3400), (22050, 7000, 7000), (44100, 20000, 8000)]
)
def test_the_bandwidth_is_that_of_the_sound(rate, highest, expected, tmp_path):
    samples = speech(np.random.default_rng(0), 1.0, rate, highest)
    soundfile.write(tmp_path / "a.wav", samples, rate, "FLOAT")
    file = measure(str(tmp_path / "a.wav"))
    assert file.bandwidth == pytest.approx(expected, abs=120)
    power = 10 * math.log10(float((samples**2).mean()))
    assert file.level_db == pytest.approx(power, abs=0.1)


def test_check_names_what_real_flac_and_fake_wav_at_another_rate_give_away(protocols, tmp_path):
    rng, rows = np.random.default_rng(5), []
    (tmp_path / "data").mkdir()
    for number in range(12):
        label, kind, rate = (("real", "flac", 16000), ("fake", "wav", 22050))[number % 2]
        soundfile.write(tmp_path / f"data/{number}.{kind}", speech(rng, rate=rate), rate)
        coding = "FLAC" if kind == "flac" else "PCM_S"
        rows.append(f"X-{number},{label},0.6,{rate},$ROOT/{number}.{kind},-,-,-,1,{coding},16,EN")
    Path("p.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    options = ["--data_folder", "data", "--json", "c.json", "--workers", "1"]
    status, out, _ = protocols("check", "p.csv", *options)
    report = json.loads(Path("c.json").read_text())
    named = [name for name, facts in report["properties"].items() if facts["shortcut"]]
    assert status == 0 and set(named) == {"sample rate", "container", "encoding"}
    assert "sample rate: AUC 1.00 (p 0.0022): real 16000 Hz 100 %; fake 22050 Hz 100 %" in out
    status, out, _ = protocols("check", "p.csv", *options, "--headers_only")
    assert "container: AUC 1.00" in out and "bandwidth" not in out
