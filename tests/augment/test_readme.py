"""What the README's Augmentation section shows works as written."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from augment import build
from augment.__main__ import main
from augment.catalogue import EXAMPLES, synthetic_recordings
from augment.codecs import CODECS
from augment.effects import EFFECTS
from dataio.schema import COLUMNS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README[README.index("## Augmentation\n") : README.index("## Protocols\n")]


def test_the_yaml_example_builds_and_runs(tmp_path, monkeypatch):
    settings = yaml.safe_load(re.search(r"```yaml\n(.*?)```", SECTION, re.DOTALL)[1])
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
        assert f"| `{name}` |" in SECTION
        for key in (item.name for item in fields(effect) if "read" in item.metadata):
            assert f"`{key}`" in SECTION, key
    for name in CODECS:
        assert f"`{name}`" in SECTION


@pytest.mark.slow
def test_the_preview_command_does_what_the_readme_says(tmp_path, monkeypatch):
    command = re.search(r"^python -m augment (.*)$", SECTION, re.MULTILINE)[1].split()
    monkeypatch.chdir(tmp_path)
    soundfile.write("speech.wav", 0.1 * np.random.default_rng(0).standard_normal(9_000), 16_000)
    assert main(command) == 0
    wavs = sorted(path.name for path in Path("preview").glob("*.wav"))
    assert wavs[0] == "00_original.wav" and "spectrograms.png" in SECTION
    if len(wavs) == len(EXAMPLES) + 1:
        assert wavs[-1] == "24_band_mask.wav" and "25 wavs" in SECTION
    assert Path("preview/spectrograms.png").stat().st_size > 50_000
