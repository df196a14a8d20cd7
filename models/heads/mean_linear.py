"""The release's head: mean over a file's frames, then one linear layer to `[fake, real]`."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from models.heads.interface import Head, HeadOutput


class MeanLinear(nn.Linear, Head):
    """logits = W mean_t(h_t) + b. It is the linear layer itself, as the released names are."""

    def __init__(self, width: int, layers: int) -> None:
        nn.Linear.__init__(self, width, 2)

    def averaged(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor:
        return hidden[-1]

    def classify(self, embedding: Tensor) -> Tensor:
        return F.linear(embedding, self.weight.float(), self.bias.float())

    @property
    def last_layer(self) -> nn.Linear:
        return self

    def forward(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> HeadOutput:
        return Head.forward(self, hidden, frame_lengths)  # nn.Linear has one of its own
