"""The transformers package loads an exported folder with no code of ours, and gives our logits."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from models.export.sounds import sound

pytestmark = pytest.mark.needs("transformers")

STRANGER = """
import json, sys
sys.path = [p for p in sys.path if p]  # not this checkout
import numpy as np, torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, pipeline
folder, sounds = sys.argv[1], np.load(sys.argv[2])
detect = pipeline("audio-classification", model=folder)
model, extractor = detect.model, detect.feature_extractor
print(json.dumps({
    "labels": [[p["label"] for p in sorted(detect({"raw": sounds[n], "sampling_rate": 16000}),
                                           key=lambda p: p["score"])] for n in sounds],
    "logits": [model(**extractor(sounds[n], sampling_rate=16000, return_tensors="pt"))
               .logits[0].tolist() for n in sounds],
    "ours": [m for m in sys.modules if m.split(".")[0] in ("models", "dataio")],
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("model", ["w2v_tiny", "xlsr_tiny", "hubert_tiny"])
def test_its_pipeline_gives_our_logits_without_our_code(exported, load, model, tmp_path):
    sounds = {str(n): sound(seconds, 40 + n) for n, seconds in enumerate((0.5, 2.0, 7.3))}
    np.savez(tmp_path / "sounds.npz", **sounds)
    arguments = [sys.executable, "-c", STRANGER, str(exported(model)), str(tmp_path / "sounds.npz")]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    with torch.inference_mode():
        ours = [load(model)(torch.from_numpy(s)[None]).logits[0].numpy() for s in sounds.values()]
    assert np.abs(np.array(found["logits"]) - ours).max() < 1e-4 * np.abs(ours).max()
    assert found["labels"] == [[("fake", "real")[i] for i in row.argsort()] for row in ours]
    assert found["ours"] == []
    assert "newly initialized" not in done.stderr and "not used" not in done.stderr


@pytest.mark.slow
def test_padding_is_masked_where_the_model_has_a_mask_and_the_card_says_where_not(exported, load):
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    sounds = [sound(3, 50), sound(1, 51)]
    for model, masked in (("xlsr_tiny", True), ("w2v_tiny", False)):
        folder = exported(model)
        extractor = AutoFeatureExtractor.from_pretrained(folder)
        inputs = extractor(sounds, sampling_rate=16000, return_tensors="pt", padding=True)
        with torch.inference_mode():
            theirs = AutoModelForAudioClassification.from_pretrained(folder)(**inputs).logits
            alone = torch.cat([load(model)(torch.from_numpy(s)[None]).logits for s in sounds])
        same = (theirs - alone).abs().max() < 1e-4 * alone.abs().max()
        assert bool(same) == masked
        assert ("has no mask there" in (folder / "README.md").read_text()) == (not masked)
