"""One example of every augmentation and what it imitates, for previews and cost tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataio.schema import SAMPLE_RATE

ROOM_DECAY_SECONDS = 0.4  # to -60 dB


# label: (entry of an `augmentations` list, what it imitates)
EXAMPLES = {
    "rawboost 1": ({"name": "rawboost", "algo": 1}, "microphone, amplifier and channel distortion"),
    "rawboost 2": (
        {"name": "rawboost", "algo": 2},
        "impulses from converters, dropouts and clicks",
    ),
    "rawboost 3": ({"name": "rawboost", "algo": 3}, "stationary coloured noise of the equipment"),
    "rawboost 4": ({"name": "rawboost", "algo": 4}, "1, 2 and 3 one after the other"),
    "rawboost 5": ({"name": "rawboost", "algo": 5}, "1 and 2 one after the other (the default)"),
    "rawboost 6": ({"name": "rawboost", "algo": 6}, "1 and 3 one after the other"),
    "rawboost 7": ({"name": "rawboost", "algo": 7}, "2 and 3 one after the other"),
    "rawboost 8": ({"name": "rawboost", "algo": 8}, "1 and 2 side by side, added"),
    "codec mp3": ({"name": "codec", "codec": "mp3"}, "files from the web, podcasts"),
    "codec aac": ({"name": "codec", "codec": "aac"}, "video platforms, broadcast"),
    "codec opus": ({"name": "codec", "codec": "opus"}, "messengers, conferences, browsers"),
    "codec amr_nb": ({"name": "codec", "codec": "amr_nb"}, "mobile calls, voice memos"),
    "codec g711_alaw": ({"name": "codec", "codec": "g711_alaw"}, "telephone lines, Europe"),
    "codec g711_mulaw": ({"name": "codec", "codec": "g711_mulaw"}, "telephone lines, US and Japan"),
    "codec g722": ({"name": "codec", "codec": "g722"}, "wideband (HD voice) desk phones"),
    "codec gsm": ({"name": "codec", "codec": "gsm"}, "early mobile calls"),
    "telephone": ({"name": "telephone"}, "the 300-3400 Hz of an analogue line"),
    "noise": ({"name": "noise"}, "a place: street, babble, music (your recordings)"),
    "reverberation": ({"name": "reverberation"}, "a room (your impulse responses)"),
    "speed": ({"name": "speed"}, "a faster or slower speaker, tape speed"),
    "gain": ({"name": "gain"}, "distance, recording level"),
    "clipping": ({"name": "clipping"}, "an overdriven input"),
    "time_mask": ({"name": "time_mask"}, "lost packets, dropouts"),
    "band_mask": ({"name": "band_mask"}, "missing stretches of the spectrum"),
}


def synthetic_recordings(folder: Path) -> dict[str, dict]:
    """Settings that `noise` and `reverberation` lack, over recordings synthesised below `folder`.

    Five seconds of pink noise, and an exponentially decaying room response; always the same.
    """
    import soundfile

    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal(5 * SAMPLE_RATE))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(1, spectrum.size + 1)))
    time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    room = rng.standard_normal(time.size) * 10 ** (-3 * time / ROOM_DECAY_SECONDS) / 5
    room[0] = 1  # direct sound
    settings = {}
    for name, recording in (("noise", pink / np.abs(pink).max()), ("reverberation", room)):
        below = folder / name
        below.mkdir(parents=True)
        soundfile.write(below / f"{name}.wav", recording, SAMPLE_RATE, "FLOAT")
        settings[name] = {"folder": str(below)}
    return settings
