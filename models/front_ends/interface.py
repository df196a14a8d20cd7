"""What both engines of the SSL front end have in common, and what else may ask of either."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dataio.schema import UserError
from models.front_ends.config import FrontEndConfig

# Held in checkpoints, never used by detection: no gradient, no optimiser state.
UNUSED = ("mask_emb", "label_embs_concat", "quantizer.", "project_q.", "final_proj.")
BELOW_LAYERS = ("feature_extractor.", "layer_norm.", "post_extract_proj.", "encoder.pos_conv.")


class FrontEnd(nn.Module):
    """Raw waveforms to frame features. Subclasses set `model`, whose tensor names are fairseq's.

    `forward(waveforms (B, T), lengths (B,) or None, layers=None) -> frames (B, F, D)`: waveforms
    normalised and zero after `lengths` samples; None means that nothing is to be masked. Frames of
    padding hold arbitrary finite values. A list given as `layers` receives h_0 ... h_L, each
    `(B, F, D)`: what enters the first block and what each block gives, before any final norm.
    """

    model: nn.Module

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer's blocks, in order."""
        return self.model.encoder.layers

    def freeze(self, what: str | int) -> None:
        """Train all but `what`: "none", "all", "conv", or a number of transformer blocks.

        A number freezes everything up to and including that many blocks. Tensors that detection
        never uses stay frozen always.
        """
        frozen = (*UNUSED, *self._frozen_prefixes(what))
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not name.startswith(frozen))

    def _frozen_prefixes(self, what: str | int) -> tuple[str, ...]:
        words = {"none": (), "conv": ("feature_extractor.",), "all": ("",)}
        if what in words:
            return words[what]
        if not str(what).isdecimal() or int(what) > self.config.layers:
            raise UserError(
                f"cannot freeze {what!r} of {self.config.name}: expected none, all, conv or a "
                f"number of layers from 0 to {self.config.layers}"
            )
        blocks = tuple(f"encoder.layers.{index}." for index in range(int(what)))
        # post-norm applies the encoder's norm below the blocks, pre-norm above them
        below = () if self.config.pre_norm else ("encoder.layer_norm.",)
        return (*BELOW_LAYERS, *below, *blocks)

    def set_activation_checkpointing(self, enabled: bool) -> None:
        """Recompute blocks in the backward pass instead of keeping their activations."""
        raise NotImplementedError

    def forward(
        self, waveforms: Tensor, lengths: Tensor | None, layers: list[Tensor] | None = None
    ) -> Tensor:
        raise NotImplementedError


def frame_lengths(samples: Tensor, spec: tuple[tuple[int, int], ...]) -> Tensor:
    """Frames `(B,)` that convolutions of (kernel, stride) `spec` make of `samples` `(B,)`."""
    for kernel, stride in spec:
        samples = torch.div(samples - kernel, stride, rounding_mode="floor") + 1
    return samples
