"""The detector: an SSL front end and a head; the release's is a mean over time and a linear layer.

detector = build_detector("w2v_small")
logits, embedding = detector(waveforms, lengths)    # logits are [fake, real]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import torch
from torch import Tensor, nn

from dataio.schema import UserError
from models.front_ends import catalogue
from models.front_ends.config import FrontEndConfig
from models.front_ends.interface import FrontEnd
from models.heads.catalogue import DEFAULT as DEFAULT_HEAD
from models.heads.catalogue import build_head
from models.heads.interface import FrameOutput, Head, HeadOutput
from models.heads.mean_linear import MeanLinear


class Detector(nn.Module):
    """Raw 16 kHz waveforms to logits. State-dict names: `m_ssl.model.*`, and `proj_fc.*` of the
    release's head or `head.*` of another.

    With `mask_padding` a file's output does not depend on what shares its batch; without it,
    padding takes part in everything, as in the published toolkit. Where it is masked, a batch is
    padded up to a multiple of `pad_to_frames`.
    """

    precision: str | None = None  # as its caller's autocast has it
    pad_to_frames = 1

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

    def described(self) -> dict[str, object]:
        """What its scores depend on besides weights and head, for the notes beside them."""
        return {
            "front_end": self.config.family,
            "preprocessing": asdict(self.m_ssl.preprocessing),
        }

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
        self,
        waveforms: Tensor,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        with_frames: bool = False,
    ) -> HeadOutput | FrameOutput:
        """`waveforms` `(B, T)` of any level; `lengths` B samples, None where all are T long.

        Files shorter than the receptive field are taken as followed by silence up to it. Keep
        `lengths` on the CPU: whether anything is padded is decided there. Integers stay there
        under DistributedDataParallel, which moves tensors. `with_frames`: also each frame's share
        of the logits, from the same pass of the front end.
        """
        waveforms, lengths, padded = self.m_ssl.preprocessing(
            waveforms,
            lengths,
            least=self.m_ssl.receptive_field,
            multiple=self.pad_to_frames if self.mask_padding else 1,
        )
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

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Frames `(B,)` of files of `lengths` `(B,)` samples; at least one."""
        return self.m_ssl.frame_lengths(self.m_ssl.preprocessing.lengths(lengths))

    def detection_parameters(self) -> list[nn.Parameter]:
        """The parameters that train, for an optimiser; every one gets a gradient in each step."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def freeze(self, what: str | int) -> None:
        """Freeze "none", "all", "conv" or the first so many blocks of the front end.

        What takes no part in detection has no gradient, whatever is frozen.
        """
        self.m_ssl.freeze(what)
        if self.classifier.reads_layers and self.m_ssl.final_norm is not None:
            self.m_ssl.final_norm.requires_grad_(False)  # layers are read before it
        for name, parameter in self.classifier.named_parameters():
            parameter.requires_grad_(not name.startswith(self.classifier.unused))

    def set_activation_checkpointing(self, enabled: bool) -> None:
        """Trade computation for memory in training."""
        self.m_ssl.set_activation_checkpointing(enabled)


def detector_options(hparams: Mapping[str, object]) -> dict[str, object]:
    """What the YAML says of a detector, for `build_detector` and `load_detector`."""
    return {"front_end": hparams["front_end"], "head": hparams["head"]}


def build_detector(
    model_name: str,
    *,
    engine: str = catalogue.DEFAULT,
    mask_padding: bool = True,
    front_end: Mapping[str, object] | None = None,
    head: Mapping[str, object] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Detector:
    """A detector with random weights on the CPU (or on the device of an enclosing context).

    `front_end` is `{"engine": ..., option: value}` of `models.front_ends.catalogue`, for which
    `engine` alone may stand; `head` is `{"name": ..., option: value}` of `models.heads.catalogue`,
    the release's by default; `overrides` changes fields of the model's `FrontEndConfig`, such as
    `layerdrop`. UserError for an unknown model, engine, head, option or field, for a missing
    package, and for a head that does not read what the front end gives.
    """
    spec = {"engine": engine, **(front_end or {})}
    frames = catalogue.build_front_end(model_name, spec, overrides or {})
    return Detector(frames, head_for(frames, head), mask_padding=mask_padding)


def head_for(front_end: FrontEnd, spec: Mapping[str, object] | None) -> Head:
    """The head of `spec` with random weights, as wide as the frames of `front_end`."""
    config = front_end.config
    head = build_head(spec or {}, width=config.embed_dim, layers=config.layers)
    if head.reads_filters != (config.layers == 0):
        what, given = ("outputs of filters", "frames of 20 ms")[:: 1 if head.reads_filters else -1]
        raise UserError(
            f"head {(spec or {}).get('name', DEFAULT_HEAD)} reads {what}, and the front end of"
            f" {config.name} gives {given}: waveform_aasist goes with engine sinc, and no other"
        )
    return head
