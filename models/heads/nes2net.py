"""Nes2Net-X: nested Res2Net over groups of dimensions (Liu et al., 2025).

Every convolution sees zeros behind a file's end, as it would alone, and batch norm counts valid
frames alone, so a padded batch is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.front_ends.kernels import valid_mask
from models.heads.interface import Head
from models.heads.pooling import AttentiveStatistics


class FrameNorm(nn.BatchNorm1d):
    """Batch norm of `(B, C, F)` or `(B, C, F, S)` whose statistics leave padding out."""

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """`mask` `(B, 1, F)` of ones and zeros."""
        if mask is None or not self.training:
            return super().forward(x.flatten(2)).view_as(x)
        valid, frames = mask[:, 0].bool(), x.movedim(1, -1)  # (B, F), (B, F[, S], C)
        out = torch.zeros_like(frames)
        out[valid] = super().forward(frames[valid].flatten(0, -2)).view_as(frames[valid])
        return out.movedim(-1, 1)


class SqueezeExcitation(nn.Module):
    """Each channel scaled by a gate of all channels' means over time: `(B, C, F)` to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        parts = {"1": nn.Conv1d(width, width, 1), "3": nn.Conv1d(width, width, 1)}
        self.se = nn.ModuleDict(parts)  # numbered as in the published state dicts

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        mean = x.mean(2) if mask is None else (x * mask).sum(2) / mask.sum(2)
        gate = self.se["3"](F.relu(self.se["1"](mean[:, :, None])))
        return x * torch.sigmoid(gate)


class Res2Block(nn.Module):
    """`scale` slices of the channels; the states so far are kept side by side and mixed."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        self.slice = width // scale
        self.conv1 = nn.Conv1d(width, self.slice * scale, 1)
        self.bn1 = FrameNorm(self.slice * scale)
        steps = range(scale - 1)
        convs = (nn.Conv2d(self.slice, self.slice, (3, 1), padding=(1, 0)) for _ in steps)
        self.convs = nn.ModuleList(convs)
        self.bns = nn.ModuleList(FrameNorm(self.slice) for _ in steps)
        self.weighted_sum = nn.ParameterList(
            torch.full((1, 1, 1, i + 2), 1 / (i + 2)) for i in steps
        )
        self.conv3 = nn.Conv1d(self.slice * scale, width, 1)
        self.bn3 = FrameNorm(width)
        self.se = SqueezeExcitation(width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        slices = self.bn1(F.relu(self.conv1(x)), mask).split(self.slice, 1)
        states, mixed = slices[-1][..., None], []  # (B, C / scale, F, states so far)
        for part, conv, norm, weights in zip(
            slices[:-1], self.convs, self.bns, self.weighted_sum, strict=True
        ):
            states = torch.cat([states, part[..., None]], -1)
            if mask is not None:
                states = states * mask[..., None]
            states = norm(F.relu(conv(states)), mask)
            mixed.append((states * weights).sum(-1))
        out = self.bn3(F.relu(self.conv3(torch.cat([*mixed, slices[-1]], 1))), mask)
        return self.se(out, mask) + x


class Nes2Net(Head):
    """Groups of dimensions, each added to the former's output before its block; then statistics."""

    last = "fc"

    def __init__(self, width: int, layers: int, groups: int = 8, scale: int = 8) -> None:
        super().__init__()
        self.group, left = divmod(width, groups)
        if left or self.group < scale:
            raise ValueError(
                f"frames of {width} cannot be {groups} groups of {scale} or more dimensions each"
            )
        rest = range(groups - 1)
        self.Build_in_Res2Nets = nn.ModuleList(Res2Block(self.group, scale) for _ in rest)
        self.bns = nn.ModuleList(FrameNorm(self.group) for _ in rest)
        self.bn = FrameNorm(width)
        self.pooling = AttentiveStatistics(width)
        self.fc = nn.Linear(2 * width, 2)

    def embed(self, hidden: Sequence[Tensor], frame_lengths: Tensor | None) -> Tensor:
        x = hidden[-1].float().transpose(1, 2)  # (B, D, F)
        mask = None
        if frame_lengths is not None:
            valid = valid_mask(frame_lengths, x.shape[2])[:, None]
            mask, x = valid.float(), x.masked_fill(~valid, 0.0)
        *groups, last = x.split(self.group, 1)
        state, outputs = torch.zeros_like(last), []
        for group, block, norm in zip(groups, self.Build_in_Res2Nets, self.bns, strict=True):
            state = norm(F.relu(block(state + group, mask)), mask)
            outputs.append(state)
        x = F.relu(self.bn(torch.cat([*outputs, last], 1), mask))
        return self.pooling(x.transpose(1, 2), frame_lengths)
