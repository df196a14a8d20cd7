"""The arithmetic the front ends share: normalised waveforms, convolutions, norms, zero gradients.

Activations are time-major, `(B, F, C)`: layer norms and matrix products read whole rows, and a
convolution over such a tensor is a channels-last one, which needs no transposed copy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

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


def computed_in(x: Tensor) -> torch.dtype:
    """The type of a product of `x`: autocast's, where that is on."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def additive_mask(valid: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where `valid` `(B, F)`, else -inf: `(B, 1, 1, F)`, for every layer's attention.

    A boolean mask would be converted in every layer, and rows that are no multiple of 8 long copied
    for the kernels that read them in vectors: here they are views of longer ones.
    """
    rows, size = valid.shape
    longer = size if torch.compiler.is_exporting() else -(-size // 16) * 16
    room = torch.zeros(rows, 1, 1, longer, dtype=dtype, device=valid.device)
    return room[..., :size].masked_fill_(~valid[:, None, None, :], -torch.inf)


def layer_norm(x: Tensor, norm: torch.nn.LayerNorm) -> Tensor:
    """`norm(x)` in the type of `x`, the statistics in float32.

    Autocast would copy activations to float32 and back, ten times what the norm itself moves; the
    kernels sum half-precision rows in float32 by themselves.
    """
    if x.dtype == torch.float32:
        return norm(x)
    with torch.autocast(x.device.type, enabled=False):
        weight, bias = norm.weight.to(x.dtype), norm.bias.to(x.dtype)
        return F.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)


def gelu(x: Tensor) -> Tensor:
    """The exact GELU; overwrites `x` where no gradient is recorded (the caller owns `x`)."""
    return F.gelu(x) if torch.is_grad_enabled() else torch.ops.aten.gelu_(x)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias`, `(..., I)` to `(..., O)`.

    On a CPU in float32 by oneDNN, forwards and backwards: `F.linear` calls another library there,
    half as fast on processors that are not of its maker.
    """
    if not _onednn(x):
        return F.linear(x, weight, bias)
    if _records_gradient(x, weight, bias):
        return OneDnnLinear.apply(x, weight, bias)
    return _product(x, weight, bias)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`gelu(linear(...))`, in one pass over the output where no gradient is recorded."""
    if _onednn(x) and x.is_contiguous() and not torch.is_grad_enabled():
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "none")
    return gelu(linear(x, weight, bias))


def _records_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def _onednn(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_exporting()
    )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias` without a gradient, by the fastest library for its device."""
    degenerate = min(x.shape[:-1].numel(), *weight.shape) < 2  # strides oneDNN cannot describe
    if degenerate or not _onednn(x):
        return F.linear(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(_dense(x), _dense(weight), bias, "none", [], "")


def _dense(x: Tensor) -> Tensor:
    """`x`, copied unless it is row-major or the transpose of that."""
    return x if x.is_contiguous() or x.mT.is_contiguous() else x.contiguous()


class OneDnnLinear(torch.autograd.Function):
    """A linear layer whose three matrix products are oneDNN's."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        rows = grad.flatten(0, -2)
        return (
            _product(grad, weight.T) if wanted[0] else None,
            _product(rows.T, x.flatten(0, -2).T) if wanted[1] else None,
            rows.sum(0) if wanted[2] else None,
        )


def strided_conv(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """1-D convolution of `(B, F, C)` with `weight` `(O, C, K)`, no padding, to `(B, F', O)`."""
    if _records_gradient(x, weight, bias):
        if torch.is_autocast_enabled(x.device.type):  # it does not reach into our own functions
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        return StridedConv.apply(x, weight, bias, stride)
    return _convolve(x, weight, bias, stride)


def sliding_windows(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Windows of `(B, T)` or `(B, T, C)` over time: `(B, F, K)` or `(B, F, K, C)`.

    For another runtime they are gathered, which all of them can.
    """
    if not torch.compiler.is_exporting():
        windows = x.unfold(1, kernel, stride)
        return (windows if x.ndim == 2 else windows.transpose(2, 3)).contiguous()
    count = (x.shape[1] - kernel) // stride + 1
    index = stride * torch.arange(count)[:, None] + torch.arange(kernel)
    return x.index_select(1, index.flatten()).unflatten(1, (count, kernel))


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    if torch.compiler.is_exporting():  # a product, which gains from int8 where a convolution loses
        windows = sliding_windows(x, weight.shape[-1], stride).flatten(2)
        return F.linear(windows, weight.transpose(1, 2).flatten(1), bias)
    columns = x.transpose(1, 2).unsqueeze(2)  # (B, C, 1, F), channels-last in memory
    out = F.conv2d(columns, weight.unsqueeze(2), bias, stride=(1, stride))
    return out.squeeze(2).transpose(1, 2)


class StridedConv(torch.autograd.Function):
    """A convolution whose gradients are two matrix products over its windows.

    The windows `(B, F', K C)` are gathered again in the backward pass, not kept. Libraries' own
    gradients of a strided convolution took two to seven times as long on the CPU.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return _convolve(x, weight, bias, stride)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        channels_out, channels_in, kernel = weight.shape
        rows = grad.flatten(0, 1)  # (B F', O)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            taps = weight.permute(2, 1, 0).flatten(0, 1)  # (K C, O)
            windows = _product(rows, taps).view(*grad.shape[:2], kernel, channels_in)
            grad_x = _overlap_add(windows, x.shape[1], ctx.stride)
        if ctx.needs_input_grad[1]:
            windows = x.unfold(1, kernel, ctx.stride).transpose(2, 3)  # (B, F', K, C)
            product = _product(rows.T, windows.reshape(len(rows), -1).T)  # (O, K C)
            grad_weight = product.view(channels_out, kernel, channels_in).transpose(1, 2)
        grad_bias = rows.sum(0) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias, None


def _overlap_add(windows: Tensor, size: int, stride: int) -> Tensor:
    """`(B, F', K, C)` windows, `stride` apart, summed where they lie: `(B, size, C)`."""
    batch, count, kernel, channels = windows.shape
    out = windows.new_zeros(batch, size, channels)
    for tap in range(kernel):
        out[:, tap : tap + stride * (count - 1) + 1 : stride] += windows[:, :, tap]
    return out


def time_normalised_conv_gelu(
    waveforms: Tensor,
    conv_weight: Tensor,
    *,
    stride: int,
    gain: Tensor,
    offset: Tensor,
    frame_lengths: Tensor,
) -> Tensor:
    """A first convolution, its group norm over time and a GELU in one product: `(B, F, C)`.

    With one channel a group, group norm is y -> gain (y - mean(y)) / sqrt(var(y) + eps) + offset
    over the frames of a file. The convolution is linear in its windows u, y_c = w_c . u, so
    mean(y_c) = w_c . mean(u) and var(y_c) = w_c' Cov(u) w_c: the statistics need one K x K matrix
    a file, and the norm folds into a weight and an offset a file. Only the first `frame_lengths`
    `(B,)` windows count. `waveforms` `(B, T)`, `conv_weight` `(C, 1, K)`. The covariance is taken
    in float64 because w' Cov w of a nearly constant output is a small difference of large terms.
    """
    kernel = conv_weight.shape[-1]
    windows = sliding_windows(waveforms, kernel, stride)  # (B, F, K)
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
        folded = (scale[:, :, None] * weight).to(windows.dtype)  # (B, C, K)
        shift = shift.to(windows.dtype)
    if torch.is_grad_enabled() or not _onednn(windows):
        return gelu(torch.baddbmm(shift[:, None], windows, folded.transpose(1, 2)))
    out = windows.new_empty(*windows.shape[:2], len(gain))
    for row in range(len(windows)):  # each file has its own weight
        out[row] = linear_gelu(windows[row], folded[row], shift[row])
    return out


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
