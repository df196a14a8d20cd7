"""The reference engine: fairseq's own classes behind the front-end interface.

It computes what the published toolkit computes. Two things are bent so that masks mean the same
here as natively: where group norm runs over time, files of unequal length pass the convolutions one
by one; and HuBERT's frame mask is taken from the convolutions' arithmetic (its own divides the
samples evenly among the frames, which can be one frame off).
"""

from __future__ import annotations

import functools
import logging
import types
import warnings

import torch
from torch import Tensor, nn

from dataio.schema import SAMPLE_RATE, UserError
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


class FairseqFrontEnd(FrontEnd):
    """fairseq's Wav2Vec2Model or HubertModel: see `FrontEnd` for the interface."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__(config)
        build = {"wav2vec2": _wav2vec2, "hubert": _hubert}[config.family]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # its weight_norm is the old one
            self.model = build(_fairseq_classes(), config)

    def set_activation_checkpointing(self, enabled: bool) -> None:
        set_recomputed((self.model.feature_extractor, *self.layers), enabled, recomputed)

    def forward(
        self, waveforms: Tensor, lengths: Tensor | None, layers: list[Tensor] | None = None
    ) -> Tensor:
        self.model.file_lengths = self.model.feature_extractor.file_lengths = lengths
        padding_mask = None if lengths is None else ~valid_mask(lengths, waveforms.shape[1])
        with recorded(self.layers, layers, lambda hidden: hidden.transpose(0, 1)):
            out = self.model(waveforms, padding_mask=padding_mask, mask=False, features_only=True)
        frames = out["x"]
        if layers is not None:  # fairseq makes the number of frames even inside
            layers[:] = [layer[:, : frames.shape[1]] for layer in layers]
        return with_skipped(self, frames, layers)


@functools.cache
def _fairseq_classes() -> types.SimpleNamespace:
    """fairseq's classes, imported on first use, with masks as described above."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)  # optional extras it does not find, at every import
    try:
        from fairseq.models.hubert import hubert
        from fairseq.models.wav2vec import wav2vec2
    except (ImportError, OSError) as error:  # OSError: it wants a semaphore, in /dev/shm
        raise UserError(
            f"engine 'fairseq' needs the fairseq package, which does not import ({error}): "
            "set ssl_engine to 'native', or install it with 'bash install.sh --with fairseq'"
        ) from error
    finally:
        logging.disable(previous)

    class Extractor(wav2vec2.ConvFeatureExtractionModel):
        """The convolutions; one file at a time when their norm must not see padding."""

        norm_over_time = False
        file_lengths: Tensor | None = None

        def forward(self, x: Tensor) -> Tensor:
            if self.file_lengths is None or not self.norm_over_time:
                return super().forward(x)
            lengths = self.file_lengths.tolist()
            alone = super().forward
            files = [alone(x[i : i + 1, :count]) for i, count in enumerate(lengths)]
            frames = int(frame_lengths(torch.tensor(x.shape[1]), CONV_KERNELS))
            padded = [nn.functional.pad(file, (0, frames - file.shape[2])) for file in files]
            return torch.cat(padded)

    class Hubert(hubert.HubertModel):
        file_lengths: Tensor | None = None

        def forward_padding_mask(self, features: Tensor, padding_mask: Tensor) -> Tensor:
            return ~valid_mask(frame_lengths(self.file_lengths, CONV_KERNELS), features.shape[1])

    return types.SimpleNamespace(
        Extractor=Extractor,
        Wav2Vec2=wav2vec2.Wav2Vec2Model,
        Wav2Vec2Config=wav2vec2.Wav2Vec2Config,
        Hubert=Hubert,
        HubertConfig=hubert.HubertConfig,
    )


def _shared_options(config: FrontEndConfig) -> dict[str, object]:
    """fairseq's names for what both of its model classes are configured by."""
    convs = [(config.conv_dim, kernel, stride) for kernel, stride in CONV_KERNELS]
    return dict(
        extractor_mode={"group": "default", "layer": "layer_norm"}[config.conv_norm],
        conv_feature_layers=repr(convs),
        conv_bias=config.conv_bias,
        encoder_layers=config.layers,
        encoder_embed_dim=config.embed_dim,
        encoder_ffn_embed_dim=config.ffn_dim,
        encoder_attention_heads=config.heads,
        layer_norm_first=config.pre_norm,
        conv_pos=config.pos_kernel,
        conv_pos_groups=config.pos_groups,
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        activation_dropout=config.activation_dropout,
        encoder_layerdrop=config.layerdrop,
        dropout_input=config.dropout_input,
        feature_grad_mult=config.feature_grad_mult,
        final_dim=config.final_dim,
    )


def _wav2vec2(classes: types.SimpleNamespace, config: FrontEndConfig) -> nn.Module:
    options = classes.Wav2Vec2Config(
        **_shared_options(config),
        quantize_targets=True,
        latent_groups=config.quantizer_groups,
        latent_vars=config.quantizer_entries,
    )
    return _with_masks(classes.Wav2Vec2(options), classes, config)


def _hubert(classes: types.SimpleNamespace, config: FrontEndConfig) -> nn.Module:
    options = classes.HubertConfig(**_shared_options(config), label_rate=50)
    task = types.SimpleNamespace(sample_rate=SAMPLE_RATE)
    labels = range(config.label_count)  # stands in for a dictionary: only its length is read
    level = logging.getLogger("fairseq.models.hubert.hubert")
    level.disabled, shown = True, level.disabled  # it logs its whole configuration
    try:
        model = classes.Hubert(options, task, [labels])
    finally:
        level.disabled = shown
    return _with_masks(model, classes, config)


def _with_masks(model: nn.Module, classes: types.SimpleNamespace, config: FrontEndConfig):
    """`model` with its convolutions, weights kept, as the class that knows file lengths."""
    model.feature_extractor.__class__ = classes.Extractor
    model.feature_extractor.norm_over_time = config.conv_norm == "group"
    return model
