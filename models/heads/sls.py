"""Sensitive layer selection (Zhang, Wen, Hu, ACM MM 2024), as published and for any length."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.heads.interface import Head, repeated
from models.heads.pooling import pool_frames

POOL = 3  # frames and dimensions of the max pooling


def gated_sum(hidden: Sequence[Tensor], gate: nn.Linear, frame_lengths: Tensor | None) -> Tensor:
    """sum_l g_l h_l with g_l = sigmoid(w . mean_t h_l + b), over the outputs h_1 ... h_L."""
    total = torch.zeros_like(hidden[-1], dtype=torch.float32)
    for layer in hidden[1:]:
        share = torch.sigmoid(gate(pool_frames(layer, frame_lengths)))  # (B, 1)
        total = total + share[:, :, None] * layer.float()
    return total


class Sls(Head):
    """The published head on `frames` frames: a longer file is cut, a shorter one repeated.

    Gate, batch norm, SELU, 3 x 3 max pooling, two linear layers, SELU, log-softmax. The embedding
    is what the last linear layer sees, (B, 1024).
    """

    reads_layers = True
    last = "fc3"

    def __init__(self, width: int, layers: int, frames: int = 201, hidden: int = 1024) -> None:
        super().__init__()
        self.size = frames
        self.first_bn = nn.BatchNorm2d(1)
        self.fc0 = nn.Linear(width, 1)
        self.fc1 = nn.Linear((frames // POOL) * (width // POOL), hidden)
        self.fc3 = nn.Linear(hidden, 2)

    def embed(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor:
        hidden = [self._fitted(layer, frame_lengths) for layer in hidden]
        x = gated_sum(hidden, self.fc0, None)
        x = F.max_pool2d(F.selu(self.first_bn(x[:, None])), POOL)
        return F.selu(self.fc1(x.flatten(1)))

    def classify(self, embedding: Tensor) -> Tensor:
        return F.log_softmax(F.selu(self.fc3(embedding)), 1)

    def _fitted(self, layer: Tensor, frame_lengths: Tensor | None) -> Tensor:
        """`(B, frames, D)` of each file's own frames."""
        if frame_lengths is None:
            return repeated(layer, layer.shape[1], self.size)
        wanted = torch.arange(self.size, device=layer.device) % frame_lengths[:, None]
        return layer.gather(1, wanted[:, :, None].expand(-1, -1, layer.shape[2]))


class SlsMean(Head):
    """The same gate, then mean over time and one linear layer: any length."""

    reads_layers = True

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, 1)
        self.linear = nn.Linear(width, 2)

    def averaged(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor:
        return gated_sum(hidden, self.gate, frame_lengths)
