"""Attentive mean and deviation of the frames, one linear layer (Okabe et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from models.heads.interface import Head
from models.heads.pooling import AttentiveStatistics


class AttentiveStatisticsLinear(Head):
    """logits = W [mean, deviation] + b; the embedding is `(B, 2 D)`."""

    def __init__(self, width: int, layers: int, bottleneck: int = 128) -> None:
        super().__init__()
        self.pooling = AttentiveStatistics(width, bottleneck)
        self.linear = nn.Linear(2 * width, 2)

    def embed(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor:
        return self.pooling(hidden[-1].float(), frame_lengths)
