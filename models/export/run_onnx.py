"""Score audio files with the ONNX file beside this script: `python run_onnx.py a.wav b.flac ...`.

Needs onnxruntime, numpy and soundfile. Prints P(real), the verdict at the file's threshold and the
logits. Files must be mono or are mixed; other rates than 16 kHz are refused: resample them first.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

SHORTEST = 400  # samples, 25 ms


def load(name="model.onnx"):
    session = onnxruntime.InferenceSession(Path(__file__).with_name(name))
    about = session.get_modelmeta().custom_metadata_map
    return session, float(about["threshold"]), json.loads(about.get("calibration", "null"))


def logits_of(session, path):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != 16000:
        raise SystemExit(f"{path} has {rate} samples a second: resample it to 16000")
    waveform = samples.mean(1)
    lengths = np.array([len(waveform)], dtype=np.int64)
    padded = np.pad(waveform, (0, max(0, SHORTEST - len(waveform))))
    return session.run(["logits"], {"waveforms": padded[None], "lengths": lengths})[0][0]


def p_real(logits, calibration):
    score = float(logits[1] - logits[0])  # the larger, the more likely real
    if calibration and calibration["method"] == "affine":
        score = calibration["scale"] * score + calibration["offset"]
    elif calibration:
        score = float(np.interp(score, calibration["knots"], calibration["values"]))
    return 1 / (1 + np.exp(-score))  # calibrated: at equal odds of real and fake


if __name__ == "__main__":
    names = [a for a in sys.argv[1:] if a.endswith(".onnx")] or ["model.onnx"]
    session, threshold, calibration = load(names[0])
    for path in [a for a in sys.argv[1:] if not a.endswith(".onnx")]:
        fake, real = logits_of(session, path)
        p = p_real((fake, real), calibration)
        print(f"{path}\t{p:.6f}\t{'real' if p >= threshold else 'fake'}\t[{fake:.5f}, {real:.5f}]")
