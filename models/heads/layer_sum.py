"""A learned weight for each layer, summed, averaged over time, one linear layer (SUPERB)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.heads.interface import Head
from models.heads.pooling import weigh_layers


class LayerSum(Head):
    """logits = W mean_t(sum_l softmax(w)_l h_l,t) + b over h_0 ... h_L (Yang et al. 2021)."""

    reads_layers = True

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(layers + 1))
        self.linear = nn.Linear(width, 2)

    def averaged(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor:
        return weigh_layers(hidden, self.weights)
