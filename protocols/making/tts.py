"""Speech synthesisers Debian has: espeak-ng (formants), flite (statistical; kal16: diphones)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from dataio.schema import SAMPLE_RATE, UserError

ESPEAK_VOICES = {"EN": "en-us", "ES": "es-419", "FR": "fr-fr", "IT": "it", "RU": "ru"}
FLITE_VOICES = ("slt", "rms", "awb", "kal16")  # English
ENGINES = ("espeak-ng", "flite")


def engine_versions() -> dict[str, str]:
    """What each engine says of itself; `FileNotFoundError` names one that is not installed."""
    versions = {}
    for engine in ENGINES:
        if shutil.which(engine) is None:
            raise FileNotFoundError(engine)
        told = subprocess.run([engine, "--version"], capture_output=True, text=True)
        words = (told.stdout + told.stderr).split("Data at")[0].split()
        versions[engine] = " ".join(words[-4:]) or "unknown"
    return versions


def espeak(text: str, language: str, variant: str, *, pitch: int, words_per_minute: int):
    """`text` read by espeak-ng, float64 (T,) at 16 kHz; `pitch` from 0 to 99, `variant` as `f3`."""
    voice = f"{ESPEAK_VOICES[language]}+{variant}"
    return _speak(
        ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(words_per_minute), "-w"],
        ["--", text],
    )


def flite(text: str, voice: str, *, stretch: float) -> np.ndarray:
    """`text` read by flite, float64 (T,) at 16 kHz; `stretch` above 1 is slower."""
    command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "-o"]
    return _speak(command, ["-t", text])


def _speak(before: list[str], after: list[str]) -> np.ndarray:
    """Run an engine that writes the wav file named between `before` and `after`."""
    with tempfile.TemporaryDirectory(prefix="speak-") as folder:
        path = Path(folder, "speech.wav")
        command = [*before, str(path), *after]
        told = subprocess.run(command, capture_output=True, text=True)
        if told.returncode != 0 or not path.exists():
            raise UserError(f"{' '.join(command)} failed: {told.stderr.strip() or 'no audio'}")
        waveform, rate = soundfile.read(path)
    return resample_poly(waveform, SAMPLE_RATE, rate) if rate != SAMPLE_RATE else waveform
