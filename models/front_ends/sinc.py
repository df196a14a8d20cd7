"""Fixed band-pass filters on the waveform, equally wide on the mel scale: AASIST's front end."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dataio.schema import SAMPLE_RATE

FILTERS = 70
TAPS = 129
SPECTRUM = 512  # points of the transform whose bins bound the bands


def band_pass_filters() -> Tensor:
    """`(FILTERS, TAPS)` float32: Hamming-windowed differences of two sinc low-pass filters."""
    top = SAMPLE_RATE // 2 * np.linspace(0, 1, SPECTRUM // 2 + 1)[-1]
    mel = np.linspace(0, 2595 * np.log10(1 + top / 700), FILTERS + 1)
    edges = 2 * 700 * (10 ** (mel / 2595) - 1) / SAMPLE_RATE  # as a share of the Nyquist rate
    taps = np.arange(-(TAPS // 2), TAPS // 2 + 1)
    low_pass = edges[:, None] * np.sinc(edges[:, None] * taps)
    filters = torch.from_numpy(np.diff(low_pass, axis=0)).float()
    return torch.from_numpy(np.hamming(TAPS)).float() * filters


def sinc_frames(waveforms: Tensor, filters: Tensor) -> Tensor:
    """`(B, T)` to `(B, T - TAPS + 1, FILTERS)`."""
    return F.conv1d(waveforms[:, None], filters[:, None]).transpose(1, 2)
