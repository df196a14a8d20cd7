"""From a protocol row to a batch of waveforms.

`probe` and `protocol` import no torch; `audio`, `dataset` do. Nothing here knows of the models.
"""
