"""Multi-head factorised attentive pooling (Peng et al., SLT 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.heads.interface import Head
from models.heads.pooling import over_time, weigh_layers


class Mhfa(Head):
    """Keys and values are two weighted sums over h_0 ... h_L; `heads` attention maps over time.

    The embedding is (B, `embedding`), then one linear layer.
    """

    reads_layers = True

    def __init__(
        self, width: int, layers: int, heads: int = 32, compressed: int = 128, embedding: int = 256
    ) -> None:
        super().__init__()
        self.weights_k = nn.Parameter(torch.ones(layers + 1))
        self.weights_v = nn.Parameter(torch.ones(layers + 1))
        self.cmp_linear_k = nn.Linear(width, compressed)
        self.cmp_linear_v = nn.Linear(width, compressed)
        self.att_head = nn.Linear(compressed, heads)
        self.pooling_fc = nn.Linear(heads * compressed, embedding)
        self.linear = nn.Linear(embedding, 2)

    def embed(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor:
        keys = self.cmp_linear_k(weigh_layers(hidden, self.weights_k))
        values = self.cmp_linear_v(weigh_layers(hidden, self.weights_v))
        attention = over_time(self.att_head(keys), frame_lengths)  # (B, F, H)
        pooled = attention.transpose(1, 2) @ values  # (B, H, compressed)
        return self.pooling_fc(pooled.flatten(1))
