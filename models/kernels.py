"""The arithmetic the front ends share: normalised waveforms, convolutions, norms, zero gradients.

Activations are time-major, `(B, F, C)`: layer norms and matrix products read whole rows, and a
convolution over such a tensor is a channels-last one, which needs no transposed copy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NORM_EPS = 1e-5  # every norm of every front end


def valid_mask(lengths: Tensor, size: int) -> Tensor:
    """`(B, size)` bool, True below each of `lengths` `(B,)`; on the device of `lengths`."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def normalise_waveforms(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Each waveform of `(B, T)` to zero mean and unit variance over its own length, zeros after it.

    Float32 whatever the surrounding precision; what lies in the padding is never read.
    """
    waveforms = waveforms.float()
    valid = valid_mask(lengths, waveforms.shape[1])
    count = lengths[:, None].float()
    mean = waveforms.masked_fill(~valid, 0.0).sum(1, keepdim=True) / count
    centred = (waveforms - mean).masked_fill(~valid, 0.0)
    variance = centred.square().sum(1, keepdim=True) / count
    return centred * torch.rsqrt(variance + NORM_EPS)


def gelu(x: Tensor) -> Tensor:
    """The exact GELU; overwrites `x` where no gradient is recorded (the caller owns `x`)."""
    return F.gelu(x) if torch.is_grad_enabled() else torch.ops.aten.gelu_(x)


def strided_conv(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """1-D convolution of `(B, F, C)` with `weight` `(O, C, K)`, no padding, to `(B, F', O)`."""
    columns = x.transpose(1, 2).unsqueeze(2)  # (B, C, 1, F), channels-last in memory
    out = F.conv2d(columns, weight.unsqueeze(2), bias, stride=(1, stride))
    return out.squeeze(2).transpose(1, 2)


def time_normalised_conv(
    waveforms: Tensor,
    conv_weight: Tensor,
    *,
    stride: int,
    gain: Tensor,
    offset: Tensor,
    frame_lengths: Tensor,
) -> Tensor:
    """A first convolution and its group norm over time in one matrix product: `(B, F, C)`.

    With one channel a group, group norm is y -> gain (y - mean(y)) / sqrt(var(y) + eps) + offset
    over the frames of a file. The convolution is linear in its windows u, y_c = w_c . u, so
    mean(y_c) = w_c . mean(u) and var(y_c) = w_c' Cov(u) w_c: the statistics need one K x K matrix
    a file, and the norm folds into a weight and an offset a file. Only the first `frame_lengths`
    `(B,)` windows count. `waveforms` `(B, T)`, `conv_weight` `(C, 1, K)`. The covariance is taken
    in float64 because w' Cov w of a nearly constant output is a small difference of large terms.
    """
    kernel = conv_weight.shape[-1]
    windows = waveforms.unfold(1, kernel, stride).contiguous()  # (B, F, K)
    valid = valid_mask(frame_lengths, windows.shape[1])[:, :, None]
    with torch.autocast(waveforms.device.type, enabled=False):
        count = frame_lengths[:, None].double()
        exact = windows.double().masked_fill_(~valid, 0.0)
        mean = exact.sum(1) / count  # (B, K)
        covariance = exact.transpose(1, 2) @ exact / count[:, :, None]
        covariance = covariance - mean[:, :, None] * mean[:, None, :]
        weight = conv_weight[:, 0].double()  # (C, K)
        variance = ((weight @ covariance) * weight).sum(-1)  # (B, C)
        scale = gain.double() * torch.rsqrt(variance.clamp_min(0.0) + NORM_EPS)
        shift = offset.double() - scale * (mean @ weight.T)
        folded = (scale[:, :, None] * weight).transpose(1, 2).to(windows.dtype)  # (B, K, C)
        shift = shift[:, None, :].to(windows.dtype)
    return torch.baddbmm(shift, windows, folded)


class ScaledGradient(torch.autograd.Function):
    """The identity forwards; backwards the gradient times a constant."""

    @staticmethod
    def forward(ctx, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad * ctx.factor, None


class ZeroGradient(torch.autograd.Function):
    """The identity on the first argument that gives the others a gradient of exactly zero.

    A layer skipped by layerdrop would otherwise have no gradient at all, for which
    DistributedDataParallel waits for ever unless it searches the graph at every step.
    """

    @staticmethod
    def forward(ctx, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.save_for_backward(*parameters)
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad, *(torch.zeros_like(p) for p in ctx.saved_tensors)


def draw_kept_layers(
    count: int, layerdrop: float, generator: torch.Generator | None = None
) -> list[bool]:
    """For each of `count` layers whether this step runs it; each is skipped with `layerdrop`.

    Without a generator it draws from torch's own CPU one, whose state checkpoints hold.
    """
    return (torch.rand(count, generator=generator) > layerdrop).tolist()
