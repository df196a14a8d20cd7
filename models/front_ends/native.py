"""The SSL front ends in plain PyTorch: wav2vec 2.0, MMS, XLS-R and HuBERT from one set of modules.

Tensor names are those of fairseq's state dicts, so checkpoints move freely between engines; the
classes are named by what they compute. Random drops stand where fairseq has them: after the
projection (`dropout_input`), before the first block, after attention, after the activation, after
the block's second linear layer, on the attention weights, and on whole blocks (`layerdrop`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.front_ends.config import CONV_KERNELS, FrontEndConfig
from models.front_ends.interface import FrontEnd, frame_lengths
from models.front_ends.kernels import (
    NORM_EPS,
    ScaledGradient,
    ZeroGradient,
    additive_mask,
    computed_in,
    draw_kept_layers,
    gelu,
    layer_norm,
    linear,
    linear_gelu,
    sliding_windows,
    strided_conv,
    time_normalised_conv_gelu,
    valid_mask,
)


class NativeFrontEnd(FrontEnd):
    """Our own engine: see `FrontEnd` for the interface."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__(config)
        self.model = SpeechEncoder(config)

    def set_activation_checkpointing(self, enabled: bool) -> None:
        for module in (self.model.feature_extractor, *self.layers):
            module.recompute = enabled

    def forward(
        self, waveforms: Tensor, lengths: Tensor | None, layers: list[Tensor] | None = None
    ) -> Tensor:
        return self.model(waveforms, lengths, layers)


class Recomputed(nn.Module):
    """A module that can forget its activations and compute them again in the backward pass."""

    recompute = False

    def forward(self, *inputs):
        if self.recompute and self.training and torch.is_grad_enabled():
            return checkpoint(self.compute, *inputs, use_reentrant=False)
        return self.compute(*inputs)


class Linear(nn.Linear):
    """torch's linear layer by the faster library, see `models.front_ends.kernels.linear`."""

    rounded_by_autocast = True

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class SpeechEncoder(nn.Module):
    """Convolutions, projection, transformer: normalised `(B, T)` to `(B, F, D)`."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.config = config
        self.mask_emb = nn.Parameter(torch.empty(config.embed_dim).uniform_())
        if config.family == "hubert":
            labels = torch.empty(config.label_count, config.final_dim).uniform_()
            self.label_embs_concat = nn.Parameter(labels)
        self.feature_extractor = ConvExtractor(config)
        self.post_extract_proj = Linear(config.conv_dim, config.embed_dim)
        if config.family == "wav2vec2":
            self.quantizer = Quantizer(config)
            self.project_q = nn.Linear(config.final_dim, config.final_dim)
        self.encoder = TransformerEncoder(config)
        self.layer_norm = nn.LayerNorm(config.conv_dim, NORM_EPS)
        self.final_proj = nn.Linear(config.embed_dim, config.final_dim)

    def forward(
        self, waveforms: Tensor, lengths: Tensor | None, layers: list[Tensor] | None = None
    ) -> Tensor:
        """`lengths` `(B,)` samples, or None to mask nothing; `layers` as in `FrontEnd`."""
        config = self.config
        x = self.feature_extractor(waveforms, lengths)
        if config.feature_grad_mult != 1.0 and x.requires_grad:
            x = ScaledGradient.apply(x, config.feature_grad_mult)
        x = self.post_extract_proj(self.layer_norm(x))
        x = F.dropout(x, config.dropout_input, self.training)
        valid = None
        if lengths is not None:
            valid = valid_mask(frame_lengths(lengths, CONV_KERNELS), x.shape[1])
        return self.encoder(x, valid, layers)


class ConvExtractor(Recomputed):
    """Seven convolutions, each with its norm (if any) and a GELU: `(B, T)` to `(B, F, C)`."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(
            ConvLayer(config, index) for index in range(len(CONV_KERNELS))
        )

    def compute(self, waveforms: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            lengths = waveforms.new_full(waveforms.shape[:1], waveforms.shape[1], dtype=torch.long)
        x = waveforms
        for layer in self.conv_layers:
            x = layer(x, lengths)
        return x


class ConvLayer(nn.Module):
    """One convolution, norm and GELU. Its parts are called "0" and "2" as in fairseq's files."""

    def __init__(self, config: FrontEndConfig, index: int) -> None:
        super().__init__()
        kernel, self.stride = CONV_KERNELS[index]
        width = config.conv_dim
        conv = nn.Conv1d(width if index else 1, width, kernel, self.stride, bias=config.conv_bias)
        nn.init.kaiming_normal_(conv.weight)
        self.add_module("0", conv)
        self.time_norm = config.conv_norm == "group" and index == 0
        self.channel_norm = config.conv_norm == "layer"
        if self.time_norm:
            self.add_module("2", nn.GroupNorm(width, width, NORM_EPS))
        elif self.channel_norm:
            self.add_module("2", nn.ModuleDict({"1": nn.LayerNorm(width, NORM_EPS)}))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`x` `(B, F, C)`, or `(B, T)` for the first layer; `lengths` in samples, for time norm."""
        conv, norm = self._modules["0"], self._modules.get("2")
        if self.time_norm:
            return time_normalised_conv_gelu(
                x,
                conv.weight,
                stride=self.stride,
                gain=norm.weight,
                offset=norm.bias,
                frame_lengths=frame_lengths(lengths, CONV_KERNELS[:1]),
            )
        if x.ndim == 2:
            windows = sliding_windows(x, conv.weight.shape[-1], self.stride)
            x = linear(windows, conv.weight[:, 0], conv.bias)
        else:
            x = strided_conv(x, conv.weight, conv.bias, self.stride)
        if self.channel_norm:
            x = layer_norm(x, norm["1"])
        return gelu(x)


class Quantizer(nn.Module):
    """The tensors of wav2vec 2.0's quantizer: held for the checkpoint, never computed with."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        entries = config.quantizer_groups * config.quantizer_entries
        width = config.final_dim // config.quantizer_groups
        self.vars = nn.Parameter(torch.empty(1, entries, width).uniform_())
        self.weight_proj = nn.Linear(config.conv_dim, entries)


class TransformerEncoder(nn.Module):
    """Convolutional positions, then blocks: `(B, F, D)` to `(B, F, D)`."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.config = config
        self.pos_conv = nn.ModuleList([PositionalConv(config)])
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.layers))
        self.layer_norm = nn.LayerNorm(config.embed_dim, NORM_EPS)
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(
        self, x: Tensor, valid: Tensor | None, layers: list[Tensor] | None = None
    ) -> Tensor:
        """`valid` `(B, F)` bool, or None where every frame is to be used."""
        config = self.config
        attend = None
        if valid is not None:
            x = x.masked_fill(~valid[:, :, None], 0.0)  # the positional convolution sees neighbours
            attend = additive_mask(valid, computed_in(x))
        x = x + self.pos_conv[0](x)
        if not config.pre_norm:
            x = self.layer_norm(x)
        x = F.dropout(x, config.dropout, self.training)
        if layers is not None:
            layers.append(x)
        for layer, kept in zip(self.layers, self._kept_layers(), strict=True):
            x = layer(x, attend) if kept else ZeroGradient.apply(x, *layer.parameters())
            if layers is not None:
                layers.append(x)
        return self.layer_norm(x) if config.pre_norm else x

    def _kept_layers(self) -> list[bool]:
        if not self.training or self.config.layerdrop == 0:
            return [True] * len(self.layers)
        return draw_kept_layers(len(self.layers), self.config.layerdrop)


class PositionalConv(nn.Module):
    """A wide grouped convolution over time, weight-normalised along its kernel, then GELU.

    `weight = weight_g * weight_v / |weight_v|`, the norm over everything but the kernel axis.
    """

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        dim, kernel = config.embed_dim, config.pos_kernel
        self.groups = config.pos_groups
        self.bias = nn.Parameter(torch.zeros(dim))
        weight = torch.empty(dim, dim // self.groups, kernel)
        nn.init.normal_(weight, std=math.sqrt(4 / (kernel * dim)))
        norms = weight.new_empty(1, 1, kernel)
        if not weight.is_meta:  # there `norm` loads torch's compiler: two seconds
            norms = weight.norm(dim=(0, 1), keepdim=True)
        self.weight_g = nn.Parameter(norms)
        self.weight_v = nn.Parameter(weight)
        self._cached: tuple[tuple, Tensor] | None = None

    def weight(self) -> Tensor:
        """`(D, D / groups, K)`; kept between forwards for as long as its parameters stand."""
        if torch.is_grad_enabled() or torch.compiler.is_exporting():
            return torch._weight_norm(self.weight_v, self.weight_g, 2)
        pair = (self.weight_v, self.weight_g)
        key = tuple((p.data_ptr(), p._version, p.device, p.dtype) for p in pair)
        if self._cached is None or self._cached[0] != key:
            self._cached = key, torch._weight_norm(self.weight_v, self.weight_g, 2)
        return self._cached[1]

    def forward(self, x: Tensor) -> Tensor:
        """`(B, F, D)` to the same; the one frame too many of an even kernel is cut at the end."""
        weight = self.weight()
        kernel = weight.shape[-1]
        columns = x.transpose(1, 2).unsqueeze(2)  # (B, D, 1, F), channels-last in memory
        out = F.conv2d(
            columns,
            weight.unsqueeze(2),
            self.bias,
            padding=(0, kernel // 2),
            groups=self.groups,
        )
        out = out.squeeze(2).transpose(1, 2)
        return gelu(out[:, :-1] if kernel % 2 == 0 else out)


class TransformerLayer(Recomputed):
    """Self-attention and a feed-forward pair, each residual, layer norms before or after."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.pre_norm = config.pre_norm
        self.dropout, self.activation_dropout = config.dropout, config.activation_dropout
        self.self_attn = SelfAttention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.embed_dim, NORM_EPS)
        self.fc1 = Linear(config.embed_dim, config.ffn_dim)
        self.fc2 = Linear(config.ffn_dim, config.embed_dim)
        self.final_layer_norm = nn.LayerNorm(config.embed_dim, NORM_EPS)

    def compute(self, x: Tensor, attend: Tensor | None) -> Tensor:
        if self.pre_norm:
            x = x + self._drop(self.self_attn(layer_norm(x, self.self_attn_layer_norm), attend))
            return x + self._drop(self._feed_forward(layer_norm(x, self.final_layer_norm)))
        x = self.self_attn_layer_norm(x + self._drop(self.self_attn(x, attend)))
        return self.final_layer_norm(x + self._drop(self._feed_forward(x)))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)

    def _feed_forward(self, x: Tensor) -> Tensor:
        x = linear_gelu(x, self.fc1.weight, self.fc1.bias)
        return self.fc2(F.dropout(x, self.activation_dropout, self.training))


class SelfAttention(nn.Module):
    """Multi-head attention of `(B, F, D)` on itself."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        dim = config.embed_dim
        self.heads, self.dropout = config.heads, config.attention_dropout
        self.k_proj = Linear(dim, dim)
        self.v_proj = Linear(dim, dim)
        self.q_proj = Linear(dim, dim)
        self.out_proj = Linear(dim, dim)

    def forward(self, x: Tensor, attend: Tensor | None) -> Tensor:
        """`attend` `(B, 1, 1, F)`: 0 where a frame may be attended to, else -inf."""
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, H, F, D / H)
            for part in self._projected(x)
        )
        out = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=attend,
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def _projected(self, x: Tensor) -> Sequence[Tensor]:
        """Queries, keys and values; in half precision by one product, so that `x` is cast once."""
        parts = (self.q_proj, self.k_proj, self.v_proj)
        if computed_in(x) == torch.float32:
            return [part(x) for part in parts]
        weight, bias = (torch.cat([getattr(p, n) for p in parts]) for n in ("weight", "bias"))
        return linear(x, weight, bias).chunk(3, dim=-1)
