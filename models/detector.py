"""The detector: an SSL front end and a head; the release's is a mean over time and a linear layer.

detector = build_detector("w2v_small")
logits, embedding = detector(waveforms, lengths)    # logits are [fake, real]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dataio.schema import UserError
from models.front_ends.config import CONV_KERNELS, RECEPTIVE_FIELD, FrontEndConfig, get_config
from models.front_ends.interface import FrontEnd, frame_lengths
from models.front_ends.kernels import normalise_waveforms
from models.front_ends.native import NativeFrontEnd
from models.heads.catalogue import build_head
from models.heads.interface import FrameOutput, Head, HeadOutput
from models.heads.mean_linear import MeanLinear


class Detector(nn.Module):
    """Raw 16 kHz waveforms to logits. State-dict names: `m_ssl.model.*`, and `proj_fc.*` of the
    release's head or `head.*` of another.

    With `mask_padding` a file's output does not depend on what shares its batch; without it,
    padding takes part in everything, as in the published toolkit.
    """

    receptive_field = RECEPTIVE_FIELD
    precision: str | None = None  # as its caller's autocast has it

    def __init__(self, front_end: FrontEnd, head: Head, *, mask_padding: bool = True) -> None:
        super().__init__()
        self.m_ssl = front_end
        self.mask_padding = mask_padding
        self.set_head(head)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def config(self) -> FrontEndConfig:
        return self.m_ssl.config

    def set_head(self, head: Head) -> None:
        """Put `head` in place of what is there, under the released name if it is the release's."""
        self.head_name = "proj_fc" if isinstance(head, MeanLinear) else "head"
        self.add_module(self.head_name, head)
        self.freeze("none")

    @property
    def classifier(self) -> Head:
        """The head, under whichever name the state dict has it."""
        return self._modules[self.head_name]

    def forward(
        self, waveforms: Tensor, lengths: Tensor | None = None, *, with_frames: bool = False
    ) -> HeadOutput | FrameOutput:
        """`waveforms` `(B, T)` of any level; `lengths` `(B,)` samples, None where all are T long.

        Files shorter than the receptive field are taken as followed by silence up to it. Keep
        `lengths` on the CPU: whether anything is padded is decided there. `with_frames`: also each
        frame's share of the logits, from the same pass of the front end.
        """
        waveforms, lengths, padded = _prepare(waveforms, lengths)
        masked = self.mask_padding and padded
        layers = [] if self.classifier.reads_layers else None
        frames = self.m_ssl(waveforms, lengths if masked else None, layers)
        counts = self.frame_lengths(lengths) if masked else None
        with torch.autocast(frames.device.type, enabled=False):
            output = self.classifier(layers or [frames], counts)
            if not with_frames:
                return output
            shares = self.classifier.frame_logits(layers or [frames], counts)
        if counts is None:
            counts = torch.full(lengths.shape, frames.shape[1], device=lengths.device)
        return FrameOutput(*output, shares, counts)

    @staticmethod
    def frame_lengths(lengths: Tensor) -> Tensor:
        """Frames `(B,)` of files of `lengths` `(B,)` samples; at least one."""
        return frame_lengths(lengths.clamp_min(RECEPTIVE_FIELD), CONV_KERNELS)

    def detection_parameters(self) -> list[nn.Parameter]:
        """The parameters that train, for an optimiser; every one gets a gradient in each step."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def freeze(self, what: str | int) -> None:
        """Freeze "none", "all", "conv" or the first so many blocks of the front end.

        What takes no part in detection has no gradient, whatever is frozen.
        """
        self.m_ssl.freeze(what)
        if self.classifier.reads_layers and self.config.pre_norm:  # layers are read before it
            self.m_ssl.model.encoder.layer_norm.requires_grad_(False)
        for name, parameter in self.classifier.named_parameters():
            parameter.requires_grad_(not name.startswith(self.classifier.unused))

    def set_activation_checkpointing(self, enabled: bool) -> None:
        """Trade computation for memory in training."""
        self.m_ssl.set_activation_checkpointing(enabled)


def _prepare(waveforms: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, bool]:
    """Normalised waveforms `(B, T')`, their lengths on the same device, and whether some differ."""
    if waveforms.ndim != 2:
        raise ValueError(f"waveforms must be (B, T), got shape {tuple(waveforms.shape)}")
    if lengths is None:
        lengths = torch.full(waveforms.shape[:1], waveforms.shape[1])
    host = lengths.cpu()
    if len(host) != len(waveforms) or host.min() < 1 or host.max() > waveforms.shape[1]:
        raise ValueError(f"lengths {host.tolist()} do not fit waveforms {tuple(waveforms.shape)}")
    lengths = lengths.to(waveforms.device)
    waveforms = normalise_waveforms(waveforms, lengths)
    missing = max(RECEPTIVE_FIELD - waveforms.shape[1], 0)
    waveforms = F.pad(waveforms, (0, missing))
    lengths = lengths.clamp_min(RECEPTIVE_FIELD)
    return waveforms, lengths, bool((host.clamp_min(RECEPTIVE_FIELD) < waveforms.shape[1]).any())


def _fairseq_front_end(config: FrontEndConfig) -> FrontEnd:
    from models.front_ends.fairseq_engine import (
        FairseqFrontEnd,  # fairseq is slow to import, and optional
    )

    return FairseqFrontEnd(config)


ENGINES: dict[str, Callable[[FrontEndConfig], FrontEnd]] = {
    "native": NativeFrontEnd,
    "fairseq": _fairseq_front_end,
}


def detector_options(hparams: Mapping[str, object]) -> dict[str, object]:
    """What the YAML says of a detector, for `build_detector` and `load_detector`."""
    return {"engine": hparams["ssl_engine"], "head": hparams["head"]}


def build_detector(
    model_name: str,
    *,
    engine: str = "native",
    mask_padding: bool = True,
    head: Mapping[str, object] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Detector:
    """A detector with random weights on the CPU (or on the device of an enclosing context).

    `head` is `{"name": ..., option: value}` of `models.heads.catalogue`, the release's by default;
    `overrides` changes fields of the model's `FrontEndConfig`, such as `layerdrop`. UserError for
    an unknown model, engine, head or field, and for a missing fairseq package.
    """
    if engine == "onnx":
        raise UserError(
            "ssl_engine onnx runs exported detectors: it has no weights to train or fill"
        )
    if engine not in ENGINES:
        raise UserError(f"unknown ssl_engine {engine!r}: choose one of {', '.join(ENGINES)}")
    config = get_config(model_name).with_overrides(**(overrides or {}))
    front_end = ENGINES[engine](config)
    built = build_head(head or {}, width=config.embed_dim, layers=config.layers)
    return Detector(front_end, built, mask_padding=mask_padding)
