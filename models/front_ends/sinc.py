"""Fixed band-pass filters on the waveform, equally wide on the mel scale: AASIST's front end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dataio.schema import SAMPLE_RATE, UserError
from models.front_ends.config import CONFIGS, FrontEndConfig
from models.front_ends.interface import FrontEnd

FILTERS = 70
TAPS = 129
SPECTRUM = 512  # points of the transform whose bins bound the bands
FAMILY = "sinc"


class SincFrontEnd(FrontEnd):
    """`(B, T)` to `(B, T - TAPS + 1, FILTERS)`: a frame a sample, no blocks and no weights."""

    receptive_field = TAPS
    normalise = False
    layers = nn.ModuleList()

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__(config)
        self.model = nn.Module()
        self.register_buffer("filters", band_pass_filters(), persistent=False)

    @classmethod
    def named(cls, model_name: str, overrides: Mapping[str, object]) -> SincFrontEnd:
        if model_name in CONFIGS:
            raise UserError(f"model {model_name} has weights that engine sinc has no place for")
        config = FrontEndConfig(
            name=model_name, family=FAMILY, embed_dim=FILTERS, layers=0, heads=0, ffn_dim=0,
            final_dim=0, pre_norm=False,
        )  # fmt: skip
        return cls(config.with_overrides(**overrides))

    def frame_lengths(self, samples: Tensor) -> Tensor:
        return samples.clamp_min(self.receptive_field) - TAPS + 1

    def set_activation_checkpointing(self, enabled: bool) -> None:
        """Nothing is kept that could be recomputed."""

    def forward(
        self, waveforms: Tensor, lengths: Tensor | None, layers: list[Tensor] | None = None
    ) -> Tensor:
        return sinc_frames(waveforms, self.filters)


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
