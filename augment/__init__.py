"""What is done to a training waveform before the model hears it: RawBoost and channel effects.

augmentation = build({"algo": 5}, [{"name": "codec", "codec": "mp3", "probability": 0.3}])
waveform = augmentation(waveform, np.random.default_rng(seed))

Arrays in, arrays out, of the same length and dtype; the randomness is the caller's generator.
Nothing here knows of datasets, models or the training loop.
"""

from dataio.lazy import lazy_names

__all__ = ["Augmentation", "build"]
__getattr__ = lazy_names(__name__, dict.fromkeys(__all__, "augment.chain"))
