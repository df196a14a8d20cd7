"""Encoders of the transformers package behind the front-end interface.

They are bent in one thing, so that a file's frames are the same alone and in a padded batch:
whatever looks along time sees nothing of padding. The group norm after the first convolution takes
its statistics over each file's own frames, and convolutions within the encoder (positions, those of
a conformer's blocks) see zeros where a file has ended, as they do where a batch ends.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dataio.schema import UserError
from models.front_ends.config import CONV_KERNELS, FrontEndConfig
from models.front_ends.interface import (
    FrontEnd,
    frame_lengths,
    recomputed,
    recorded,
    set_recomputed,
    with_skipped,
)
from models.front_ends.kernels import valid_mask

CONFORMER, DATA2VEC = "wav2vec2-conformer", "data2vec-audio"
TYPES = ("wav2vec2", "hubert", "wavlm", DATA2VEC, "unispeech-sat", CONFORMER)  # model_type
FIELDS = {  # of FrontEndConfig -> of config.json
    "embed_dim": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "ffn_dim": "intermediate_size",
    "conv_norm": "feat_extract_norm",
    "conv_bias": "conv_bias",
    "pos_kernel": "num_conv_pos_embeddings",
    "pos_groups": "num_conv_pos_embedding_groups",
    "dropout": "hidden_dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "layerdrop": "layerdrop",
    "dropout_input": "feat_proj_dropout",
}
MISSING = (
    "engine 'transformers' needs the transformers package, which does not import ({error}): install"
    " it with 'bash install.sh --with transformers', or name a model that engine native computes"
)


class TransformersFrontEnd(FrontEnd):
    """An encoder named by `config.json`: see `FrontEnd` for the interface."""

    naming = "transformers"
    unused = ("masked_spec_embed",)
    below_layers = ("feature_extractor.", "feature_projection.", "encoder.pos_conv_embed.")

    def __init__(self, config: FrontEndConfig, model: nn.Module, normalise: bool) -> None:
        self.normalise = normalise
        super().__init__(config)
        if config.family == CONFORMER:  # held by its checkpoints; its forward does without
            self.unused = (*self.unused, "encoder.pos_conv_embed.")
        self.model = model
        self.model.feature_extractor._requires_grad = False  # of waveforms, to recompute in its way
        self._lengths: Tensor | None = None  # (B,) samples of what is being computed
        self._mask_time()

    @classmethod
    def named(
        cls,
        model_name: str,
        overrides: Mapping[str, object],
        *,
        source: str | None = None,
        config: Mapping[str, object] | None = None,
        spec_augment: bool = False,
    ) -> TransformersFrontEnd:
        """`source`: a folder or hub id; `config`: what its config.json says, if it is not to be
        read; `spec_augment`: mask frames in training as the encoder's pre-training did.
        """
        if config is None and source is None:
            raise UserError(
                f"front_end of {model_name} has neither source nor config: name a folder or hub id,"
                ' as --front_end "{engine: transformers, source: microsoft/wavlm-base-plus}"'
            )
        normalise = True if config is not None else _normalises(str(source))
        where = f"config of {model_name}" if config is not None else f"config.json of {source}"
        content = dict(_read_config(str(source)) if config is None else config)
        content["apply_spec_augment"] = bool(spec_augment)
        model = _model(content, overrides, where)
        return cls(_front_end_config(model_name, model.config), model, normalise)

    def set_activation_checkpointing(self, enabled: bool) -> None:
        modules = (self.model.feature_extractor, *self.layers)
        set_recomputed(modules, enabled, self._recomputed)

    def forward(
        self, waveforms: Tensor, lengths: Tensor | None, layers: list[Tensor] | None = None
    ) -> Tensor:
        mask = None if lengths is None else valid_mask(lengths, waveforms.shape[1]).long()
        with self._padded_by(lengths), recorded(self.layers, layers, lambda hidden: hidden):
            frames = self.model(waveforms, attention_mask=mask).last_hidden_state
        return with_skipped(self, frames, layers)

    @contextlib.contextmanager
    def _padded_by(self, lengths: Tensor | None) -> Iterator[None]:
        former, self._lengths = self._lengths, lengths
        try:
            yield
        finally:
            self._lengths = former

    def _recomputed(self, module: nn.Module, forward, *args, **kwargs):
        lengths = self._lengths  # the backward pass comes when it may be another batch's

        def again(*args, **kwargs):
            with self._padded_by(lengths):
                return forward(*args, **kwargs)

        return recomputed(module, again, *args, **kwargs)

    def _mask_time(self) -> None:
        """Have every module that looks along time see nothing of padding."""
        first = getattr(self.model.feature_extractor.conv_layers[0], "layer_norm", None)
        if isinstance(first, nn.GroupNorm):
            first.forward = functools.partial(self._time_norm, first)
        for module in self.model.encoder.modules():
            if isinstance(module, nn.Conv1d) and module.kernel_size[0] > 1:
                module.register_forward_pre_hook(self._without_padding)

    def _without_padding(self, _module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
        """The input `(B, C, F)` of a convolution, zero after each file's frames."""
        if self._lengths is None:
            return None
        (x,) = inputs
        valid = valid_mask(frame_lengths(self._lengths, CONV_KERNELS), x.shape[2])
        return (x.masked_fill(~valid[:, None], 0.0),)

    def _time_norm(self, norm: nn.GroupNorm, x: Tensor) -> Tensor:
        """Group norm of one channel a group, `(B, C, F)`, over each file's own frames."""
        if self._lengths is None:
            return F.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
        counts = frame_lengths(self._lengths, CONV_KERNELS[:1])
        valid = valid_mask(counts, x.shape[2])[:, None]
        wide, counts = x.float(), counts[:, None, None]
        mean = wide.masked_fill(~valid, 0.0).sum(2, keepdim=True) / counts
        centred = wide - mean
        variance = centred.masked_fill(~valid, 0.0).square().sum(2, keepdim=True) / counts
        scale = norm.weight[:, None] * torch.rsqrt(variance + norm.eps)
        return (centred * scale + norm.bias[:, None]).to(x.dtype)


@functools.cache
def _package():
    try:
        import transformers
    except (ImportError, OSError) as error:
        raise UserError(MISSING.format(error=error)) from error
    # WavLM's attention hands PyTorch two kinds of masks.
    warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
    return transformers


def _read_config(source: str) -> dict[str, object]:
    """config.json of a folder or hub repository."""
    try:
        content, _ = _package().PreTrainedConfig.get_config_dict(source)
        if not content:
            raise ValueError("there is none, or nothing in it")
    except (OSError, ValueError, TypeError, AttributeError) as error:  # no JSON object
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"front_end: source {source} is no folder or hub id with a config.json ({reason[:200]})"
        ) from error
    return content


def _normalises(source: str) -> bool:
    """What preprocessor_config.json says of the waveform's level; most encoders want it so."""
    extractor = _package().Wav2Vec2FeatureExtractor
    try:
        content, _ = extractor.get_feature_extractor_dict(source)
    except (OSError, ValueError):
        return True
    return bool(content.get("do_normalize", True))


def _model(content: dict[str, object], overrides: Mapping[str, object], where: str) -> nn.Module:
    """The package's own model; UserError for what this engine cannot compute."""
    family = content.pop("model_type", None)
    if family not in TYPES:
        raise UserError(
            f"{where}: model_type is {family!r}, and engine transformers knows {', '.join(TYPES)}"
        )
    if unknown := sorted(set(overrides) - set(FIELDS)):
        raise UserError(
            f"unknown front-end option {unknown[0]!r} for {where}: choose among {', '.join(FIELDS)}"
        )
    content |= {FIELDS[name]: value for name, value in overrides.items()}
    try:
        made = _package().AutoConfig.for_model(family, **content)
        model = _package().AutoModel.from_config(made)
    except Exception as error:  # each of its checks has an exception class of its own
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{where} describes no {family} encoder ({reason})") from error
    kernels = tuple(zip(made.conv_kernel, made.conv_stride, strict=False))
    if kernels != CONV_KERNELS or getattr(made, "add_adapter", False):
        raise UserError(
            f"{where}: its frames are not those of 20 ms that heads and masks here count on"
            " (conv_kernel, conv_stride, add_adapter)"
        )
    return model


def _front_end_config(model_name: str, hub_config) -> FrontEndConfig:
    """What the package's configuration says, in our terms."""
    family = hub_config.model_type
    has_stable_form = family not in (CONFORMER, DATA2VEC)  # the former is always so, the latter not
    return FrontEndConfig(
        name=model_name,
        family=family,
        pre_norm=hub_config.do_stable_layer_norm if has_stable_form else family == CONFORMER,
        conv_dim=hub_config.conv_dim[-1],
        final_dim=0,
        # data2vec does not say: it has the layer norm always
        **{ours: getattr(hub_config, theirs, "layer") for ours, theirs in FIELDS.items()},
    )
