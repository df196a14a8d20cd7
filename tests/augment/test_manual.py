"""What the manual's page on augmentation shows works as written."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from support.pages import blocks, commands, page

from augment import build
from augment.__main__ import main
from augment.catalogue import EXAMPLES, synthetic_recordings
from augment.codecs import CODECS
from augment.effects import EFFECTS
from dataio.schema import COLUMNS

PAGE = page("augmentation")


def test_the_yaml_example_builds_and_runs(tmp_path, monkeypatch):
    settings = yaml.safe_load(blocks(PAGE, "yaml")[0].text)
    monkeypatch.chdir(tmp_path)
    synthetic_recordings(tmp_path)
    (tmp_path / "reverberation").rename("rooms")
    (tmp_path / "noise").rename("recordings")
    row = dict.fromkeys(COLUMNS, "-") | {"Path": "$ROOT/noise.wav"}
    Path("noise.csv").write_text(f"{','.join(COLUMNS)}\n{','.join(row.values())}\n")
    augmentation = build({"algo": 5}, settings["augmentations"])
    waveform = 0.1 * np.random.default_rng(0).standard_normal(8_000).astype(np.float32)
    assert len(augmentation.steps) == 4
    for seed in range(6):
        augmented = augmentation(waveform, np.random.default_rng(seed))
        assert augmented.shape == waveform.shape and np.isfinite(augmented).all()


def test_the_table_names_every_effect_key_and_codec():
    for name, effect in EFFECTS.items():
        assert f"| `{name}` |" in PAGE
        for key in (item.name for item in fields(effect) if "read" in item.metadata):
            assert f"`{key}`" in PAGE, key
    for name in CODECS:
        assert f"`{name}`" in PAGE


@pytest.mark.slow
def test_the_preview_command_does_what_the_page_says(tmp_path, monkeypatch):
    (command,) = commands(PAGE, "python -m augment ")
    monkeypatch.chdir(tmp_path)
    soundfile.write("speech.wav", 0.1 * np.random.default_rng(0).standard_normal(9_000), 16_000)
    assert main(command) == 0
    wavs = sorted(path.name for path in Path("preview").glob("*.wav"))
    assert wavs[0] == "00_original.wav" and "spectrograms.png" in PAGE
    if len(wavs) == len(EXAMPLES) + 1:
        assert wavs[-1] == "24_band_mask.wav" and "25 wavs" in PAGE
    assert Path("preview/spectrograms.png").stat().st_size > 50_000
