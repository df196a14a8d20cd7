"""Frames of a file to one vector, and layers to one sequence: what several heads share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.front_ends.kernels import valid_mask

VARIANCE_FLOOR = 1e-7  # of the attentive deviation, as in the x-vector toolkits


def pool_frames(frames: Tensor, frame_lengths: Tensor | None) -> Tensor:
    """The mean over time of `(B, F, D)`, over the first `frame_lengths` `(B,)` frames if given.

    Float32 whatever the precision of the frames: half-precision sums over minutes lose digits.
    """
    frames = frames.float()
    if frame_lengths is None:
        return frames.mean(1)
    padding = ~valid_mask(frame_lengths, frames.shape[1])
    total = frames.masked_fill(padding[:, :, None], 0.0).sum(1)
    return total / frame_lengths[:, None]


def over_time(scores: Tensor, frame_lengths: Tensor | None) -> Tensor:
    """Softmax of `(B, F, H)` over the valid frames; padding gets weight zero."""
    if frame_lengths is not None:
        padding = ~valid_mask(frame_lengths, scores.shape[1])
        scores = scores.masked_fill(padding[:, :, None], -torch.inf)
    return scores.softmax(1)


def weigh_layers(hidden: Sequence[Tensor], weights: Tensor) -> Tensor:
    """sum_l softmax(weights)_l h_l: layers `(B, F, D)` and `(L,)` to `(B, F, D)`."""
    shares = weights.softmax(0)
    total = hidden[0].float() * shares[0]
    for layer, share in zip(hidden[1:], shares[1:], strict=True):
        total = total + layer.float() * share
    return total


class AttentiveStatistics(nn.Module):
    """Attentive mean and deviation (Okabe et al. 2018): `(B, F, D)` to `(B, 2 D)`.

    weights = softmax over time of linear2(tanh(linear1(x))), one for each frame and dimension.
    """

    def __init__(self, width: int, bottleneck: int = 128) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(width, bottleneck, 1)
        self.linear2 = nn.Conv1d(bottleneck, width, 1)

    def forward(self, frames: Tensor, frame_lengths: Tensor | None) -> Tensor:
        scores = self.linear2(torch.tanh(self.linear1(frames.transpose(1, 2)))).transpose(1, 2)
        weights = over_time(scores, frame_lengths)
        if frame_lengths is not None:  # 0 x NaN of padding is no zero
            padding = ~valid_mask(frame_lengths, frames.shape[1])
            frames = frames.masked_fill(padding[:, :, None], 0.0)
        mean = (weights * frames).sum(1)
        variance = (weights * frames.square()).sum(1) - mean.square()
        return torch.cat([mean, variance.clamp_min(VARIANCE_FLOOR).sqrt()], 1)
