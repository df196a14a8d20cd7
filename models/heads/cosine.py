"""Any head's embedding by its angle to one direction of real speech: the score of OC-softmax."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.heads.interface import Head


class Cosine(Head):
    """real - fake logit = c, the cosine of embedding and `center` (Zhang, Jiang, Duan 2021)."""

    def __init__(self, inner: Head) -> None:
        super().__init__()
        self.inner = inner
        self.center = nn.Parameter(torch.randn(inner.embedding_width, 1))
        last = next(name for name, module in inner.named_modules() if module is inner.last_layer)
        self.unused = tuple("inner." + name for name in (*inner.unused, last))

    @property
    def reads_layers(self) -> bool:
        return self.inner.reads_layers

    @property
    def reads_filters(self) -> bool:
        return self.inner.reads_filters

    @property
    def embedding_width(self) -> int:
        return self.inner.embedding_width

    def embed(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor:
        return self.inner.embed(hidden, frame_lengths)

    def classify(self, embedding: Tensor) -> Tensor:
        c = F.normalize(embedding, dim=1) @ F.normalize(self.center, dim=0)  # (B, 1)
        return torch.cat([-c / 2, c / 2], 1)
