"""The transformers package loads an exported folder with no code of ours, and gives our logits."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from models.export.sounds import sound
from models.export.transformers_form import SCALE

pytestmark = pytest.mark.needs("transformers")

MODELS = ("w2v_tiny", "xlsr_tiny", "hubert_tiny")
STRANGER = """
import json, sys
sys.path = [p for p in sys.path if p]  # not this checkout
import numpy as np
from transformers import pipeline

sounds, found = np.load(sys.argv[1]), []
for folder in sys.argv[2:]:
    detect = pipeline("audio-classification", model=folder)
    said = [detect({"raw": sounds[n], "sampling_rate": 16000}) for n in sounds]
    logits = [[detect.model(**detect.feature_extractor(
        sounds[n] / scale, sampling_rate=16000, return_tensors="pt")).logits[0].tolist()
        for n in sounds] for scale in (1, 10)]
    found.append({
        "labels": [max(answer, key=lambda a: a["score"])["label"] for answer in said],
        "logits": logits[0], "of a tenth": logits[1],
        "ours": [m for m in sys.modules if m.split(".")[0] in ("models", "dataio")],
    })
print(json.dumps(found))
"""


@pytest.mark.slow
def test_its_pipeline_gives_our_logits_without_our_code(exported, load, tmp_path):
    sounds = {str(n): sound(seconds, 40 + n) for n, seconds in enumerate((0.5, 2.0, 7.3))}
    np.savez(tmp_path / "sounds.npz", **sounds)
    folders = [str(exported(model)) for model in MODELS]
    arguments = [sys.executable, "-c", STRANGER, str(tmp_path / "sounds.npz"), *folders]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("UNEXPECTED", "MISSING", "newly initialized"):
        assert word not in done.stderr + done.stdout
    for model, found in zip(MODELS, json.loads(done.stdout.splitlines()[-1]), strict=True):
        detector = load(model)
        for name, scale in (("logits", SCALE), ("of a tenth", 1.0)):  # as the card says
            with torch.inference_mode():
                ours = [detector(scale * torch.from_numpy(s)[None]).logits[0].numpy()
                        for s in sounds.values()]  # fmt: skip
            assert np.abs(np.array(found[name]) - ours).max() < 1e-4
        assert found["labels"] == [("fake", "real")[row.argmax()] for row in ours]
        assert found["ours"] == []


@pytest.mark.slow
def test_padding_is_masked_where_the_model_has_a_mask_and_the_card_says_where_not(exported, load):
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    sounds = [sound(3, 50), sound(1, 51)]
    for model, masked in (("xlsr_tiny", True), ("w2v_tiny", False)):
        folder = exported(model)
        extractor = AutoFeatureExtractor.from_pretrained(folder)
        detector = load(model)
        inputs = extractor(
            [s / SCALE for s in sounds], sampling_rate=16000, return_tensors="pt", padding=True
        )
        with torch.inference_mode():
            theirs = AutoModelForAudioClassification.from_pretrained(folder)(**inputs).logits
            alone = torch.cat([detector(torch.from_numpy(s)[None]).logits for s in sounds])
        same = (theirs - alone).abs().max() < 1e-4 * alone.abs().max()
        assert bool(same) == masked
        assert ("has no mask in transformers" in (folder / "README.md").read_text()) == (not masked)
