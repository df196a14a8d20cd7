"""`python main.py selftest FOLDER_OR_HUB_ID`: an exported detector's own answers, computed again.

The folder holds three short sounds and the logits that the detector gave where it was exported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dataio.checked import NUMBER, TEXT, read_json
from dataio.schema import SAMPLE_RATE, UserError
from dataio.whole_files import write_sound
from dataio.words import printable
from models.checkpoints import fetch_folder, load_detector
from models.detector import Detector
from models.export.folder import FILES, SELFTEST, About, read_about
from models.export.sounds import selftest_sounds
from models.export.transformers_form import SCALE
from models.scoring.files import write_json

ANSWERS = "logits.json"
SHAPE = {"files": [{"file": TEXT, "logits": [NUMBER]}], "by": TEXT}
DIFFERS = 1  # exit status
Engine = Callable[[np.ndarray], np.ndarray]  # (T,) of one file to logits (2,)


def write(folder: Path, detector: Detector) -> None:
    """The sounds and this detector's answers."""
    (folder / SELFTEST).mkdir()
    answers = []
    for number, waveform in enumerate(selftest_sounds(), start=1):
        name = f"{number}.wav"
        write_sound(folder / SELFTEST / name, waveform, SAMPLE_RATE, "PCM_16")
        answers.append({"file": name, "logits": logits_of(detector, waveform).tolist()})
    write_json(folder / SELFTEST / ANSWERS, {"files": answers, "by": "native"})


def selftest(hparams: dict, run_options: dict, names: list[str]) -> int:
    """Compare every engine of the folder; 1 where one differs by more than it may."""
    if len(names) != 1:
        raise UserError("name one exported folder or hub id: python main.py selftest FOLDER")
    folder = Path(names[0])
    if not folder.is_dir():
        folder = fetch_folder(names[0])
    about = read_about(folder)
    sounds, expected = read_answers(folder)
    status = 0
    print(f"{'engine':14}{'largest difference of a logit':32}{'allowed':10}")
    for name in filter(lambda name: (folder / FILES[name]).is_file(), FILES):
        make, package = ENGINES[name]
        if not importlib.util.find_spec(package):
            print(f"{name:14}not checked: the package {package} is not installed")
            continue
        compute = make(folder, about)
        found = np.stack([compute(waveform) for waveform in sounds])
        difference = float(np.abs(found - expected).max())
        allowed = about.tolerances.get(name, 0.0)
        same = difference <= allowed  # NaN is not
        status = status if same else DIFFERS
        print(f"{name:14}{difference:<32.1e}{allowed:<10.1e}{'' if same else 'DIFFERS'}")
    return status


def read_answers(folder: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """The sounds `(T,)` of anybody's folder, and the logits `(N, 2)` that belong to them."""
    import soundfile

    path = folder / SELFTEST / ANSWERS
    remedy = "export the detector again"
    try:
        files = read_json(path, SHAPE, remedy)["files"]
    except FileNotFoundError:
        raise UserError(f"{folder} holds no {SELFTEST}/{ANSWERS}: {remedy}") from None
    if not files or any(len(file["logits"]) != 2 or Path(file["file"]).name != file["file"]
                        for file in files):  # fmt: skip
        raise UserError(f"{path} names no sounds with two logits each: {remedy}")
    sounds = []
    for file in files:
        try:
            waveform, rate = soundfile.read(path.with_name(file["file"]), dtype="float32")
        except (OSError, soundfile.LibsndfileError) as error:
            raise UserError(f"cannot read {printable(file['file'])} of {folder}: {error}") from None
        if rate != SAMPLE_RATE or waveform.ndim != 1 or not len(waveform):
            raise UserError(f"{path.with_name(file['file'])} is no mono sound of 16 kHz: {remedy}")
        sounds.append(waveform)
    return sounds, np.array([file["logits"] for file in files])


def logits_of(detector: Detector, waveform: np.ndarray) -> np.ndarray:
    """Logits `(2,)` of one file `(T,)`."""
    import torch

    with torch.inference_mode():
        return detector(torch.from_numpy(waveform)[None]).logits[0].numpy()


def native(folder: Path, about: About) -> Engine:
    detector, _ = load_detector(about.model, folder / FILES["native"], head=about.head)
    return lambda waveform: logits_of(detector, waveform)


def transformers(folder: Path, about: About) -> Engine:
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()

    def compute(waveform: np.ndarray) -> np.ndarray:
        inputs = extractor(waveform / SCALE, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        with torch.inference_mode():
            return model(**inputs).logits[0].numpy()

    return compute


def onnx(name: str) -> Callable[[Path, About], Engine]:
    def engine(folder: Path, about: About) -> Engine:
        detector, _ = load_detector(about.model, folder / FILES[name], engine="onnx")
        return lambda waveform: logits_of(detector, waveform)

    return engine


ENGINES = {  # how each computes, and the package it takes
    "native": (native, "torch"),
    "transformers": (transformers, "transformers"),
    "onnx_fp32": (onnx("onnx_fp32"), "onnxruntime"),
    "onnx_int8": (onnx("onnx_int8"), "onnxruntime"),
}
