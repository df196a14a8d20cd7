"""What every head has in common: hidden states of one batch to logits and embedding.

| name | shape | what |
|---|---|---|
| `hidden` | list of `(B, F, D)` | the last frames alone, or h_0 ... h_L where `reads_layers` |
| `frame_lengths` | `(B,)` int64, or None | valid frames of each file; None: all are |
| `logits` | `(B, 2)` | `[fake, real]`: the larger real - fake, the more likely real |
| `embedding` | `(B, D')` | what the last linear layer sees |
| `frame_logits` | `(B, F, 2)`, or None | shares of the logits: their mean over a file's frames |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.heads.pooling import pool_frames


class HeadOutput(NamedTuple):
    """`logits` `(B, 2)` as `[fake, real]` and the `embedding` `(B, D')`, both float32."""

    logits: Tensor
    embedding: Tensor


class FrameOutput(NamedTuple):
    """`HeadOutput` with `frame_logits` `(B, F, 2)`, float32, of which the first `frame_lengths`
    `(B,)` frames count; None where the head's logits are no mean over frames.
    """

    logits: Tensor
    embedding: Tensor
    frame_logits: Tensor | None
    frame_lengths: Tensor


class Head(nn.Module):
    """Frames to an embedding, which one last layer classifies.

    A file's logits must be the same alone and in a padded batch, as it is evaluated. `reads_layers`
    says whether `hidden` holds every layer or the last frames alone, `reads_filters` that frames
    are outputs of filters, one a sample; `last` names the last layer;
    `unused` begins the names of tensors that checkpoints hold and nothing uses: no gradient.
    """

    reads_layers = False
    reads_filters = False
    last = "linear"
    unused: tuple[str, ...] = ()

    def averaged(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor | None:
        """`(B, F, D')` whose mean over time is the embedding, of a head that has such and whose
        last layer is linear: logits = W mean_t(h_t) + b = mean_t(W h_t + b). Else None.
        """
        return None

    def embed(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor:
        """`(B, D')` of the table above; heads without `averaged` say how."""
        frames = self.averaged(hidden, frame_lengths)
        if frames is None:
            raise NotImplementedError
        return pool_frames(frames, frame_lengths)

    def frame_logits(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor | None:
        """`(B, F, 2)`, each frame's share of the file's logits; None where there are no shares."""
        frames = self.averaged(hidden, frame_lengths)
        return None if frames is None else self.classify(frames.float())

    def classify(self, embedding: Tensor) -> Tensor:
        """Logits `(B, 2)`."""
        return self.last_layer(embedding)

    @property
    def last_layer(self) -> nn.Linear:
        return self._modules[self.last]

    @property
    def embedding_width(self) -> int:
        return self.last_layer.in_features

    def forward(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> HeadOutput:
        embedding = self.embed(hidden, frame_lengths)
        return HeadOutput(self.classify(embedding), embedding)


def whole_files(
    compute: Callable[[Tensor], Tensor],
    frames: Tensor,
    frame_lengths: Tensor | None,
    *,
    least: int,
    training: bool,
) -> Tensor:
    """`compute` on `frames` `(B, F, D)` without padding, for heads that no mask makes exact.

    In evaluation files of one length go together. In training, where batch norm needs the whole
    batch, a shorter file is repeated up to the longest; so is any file under `least` frames.
    """
    if frame_lengths is None:
        count = frames.shape[1]
        return compute(repeated(frames, count, max(count, least)))
    counts = frame_lengths.tolist()
    if training:
        size = max(*counts, least)
        rows = [repeated(f[None], n, size) for f, n in zip(frames, counts, strict=True)]
        return compute(torch.cat(rows))
    groups = {n: [row for row, other in enumerate(counts) if other == n] for n in set(counts)}
    parts = [compute(repeated(frames[rows], n, max(n, least))) for n, rows in groups.items()]
    order = torch.tensor([row for rows in groups.values() for row in rows]).argsort()
    return torch.cat(parts)[order.to(frames.device)]


def repeated(frames: Tensor, count: int, size: int) -> Tensor:
    """The first `count` frames of `(B, F, D)` over and over, cut to `size`: `(B, size, D)`."""
    return frames[:, torch.arange(size, device=frames.device) % count]
