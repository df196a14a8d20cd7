"""What all engines of the front end have in common, and what else may ask of any of them."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dataio.schema import UserError
from models.front_ends.config import CONV_KERNELS, RECEPTIVE_FIELD, FrontEndConfig, get_config
from models.front_ends.kernels import ZeroGradient
from models.front_ends.preprocessing import Preprocessing


class FrontEnd(nn.Module):
    """Raw waveforms to frame features. Subclasses set `model`.

    `forward(waveforms (B, T), lengths (B,) or None, layers=None) -> frames (B, F, D)`: waveforms
    zero after `lengths` samples; None means that nothing is to be masked. Frames of padding hold
    arbitrary finite values. A list given as `layers` receives h_0 ... h_L, each `(B, F, D)`: what
    enters the first block and what each block gives, before any final norm.

    `preprocessing` is what waveforms have to go through before; `normalise` is what it says of the
    level unless a YAML says otherwise. `unused` begins the names of tensors that checkpoints hold
    and detection never uses: no gradient, no optimiser state. `below_layers` begins those of what
    stands before the blocks. Both are fairseq's names here, which two engines share.
    """

    model: nn.Module
    naming = "fairseq"  # of its tensors; models.stored.transformers_names knows the other
    normalise = True
    receptive_field = RECEPTIVE_FIELD
    unused: tuple[str, ...] = (
        "mask_emb", "label_embs_concat", "quantizer.", "project_q.", "final_proj."
    )  # fmt: skip
    below_layers: tuple[str, ...] = (
        "feature_extractor.", "layer_norm.", "post_extract_proj.", "encoder.pos_conv."
    )  # fmt: skip

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.config = config
        self.preprocessing = Preprocessing(self.normalise)

    @classmethod
    def named(cls, model_name: str, overrides: Mapping[str, object]) -> FrontEnd:
        """The front end of a model; further parameters are options of the engine's own."""
        return cls(get_config(model_name).with_overrides(**overrides))

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer's blocks, in order."""
        return self.model.encoder.layers

    @property
    def final_norm(self) -> nn.Module | None:
        """The norm after the blocks, where there is one: heads that read layers do not see it."""
        return self.model.encoder.layer_norm if self.config.pre_norm else None

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames `(B,)` of files of `samples` `(B,)`; at least one."""
        return frame_lengths(samples.clamp_min(self.receptive_field), CONV_KERNELS)

    def freeze(self, what: str | int) -> None:
        """Train all but `what`: "none", "all", "conv", or a number of transformer blocks.

        A number freezes everything up to and including that many blocks. Tensors that detection
        never uses stay frozen always.
        """
        frozen = (*self.unused, *self._frozen_prefixes(what))
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
        return (*self.below_layers, *below, *blocks)

    def set_activation_checkpointing(self, enabled: bool) -> None:
        """Recompute blocks in the backward pass instead of keeping their activations."""
        raise NotImplementedError

    def forward(
        self, waveforms: Tensor, lengths: Tensor | None, layers: list[Tensor] | None = None
    ) -> Tensor:
        raise NotImplementedError


def set_recomputed(modules: Iterable[nn.Module], enabled: bool, run: Callable) -> None:
    """Have `run(module, plain_forward, ...)` stand for each module's forward, or end that."""
    for module in modules:
        plain = types.MethodType(type(module).forward, module)
        module.forward = functools.partial(run, module, plain) if enabled else plain


def recomputed(module: nn.Module, forward: Callable, *args, **kwargs):
    """`forward`, in training without its activations, which the backward pass computes again."""
    if module.training and torch.is_grad_enabled():
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)
    return forward(*args, **kwargs)


@contextlib.contextmanager
def recorded(
    blocks: nn.ModuleList, layers: list[Tensor] | None, read: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """h_0 ... h_L into `layers` while the encoder runs; a block that is skipped gives its input.

    `read` brings a block's input or output to `(B, F, D)`.
    """
    if layers is None:
        yield
        return
    seen: dict[int, Tensor] = {}  # by number of the block

    def keep_input(_module, inputs, number: int) -> None:
        seen.setdefault(number, read(inputs[0]))

    def keep_output(_module, _inputs, output, number: int) -> None:
        seen[number] = read(output[0] if isinstance(output, tuple) else output)

    hooks = []
    for number, block in enumerate(blocks):
        before, after = (
            functools.partial(keep, number=n)
            for keep, n in ((keep_input, number), (keep_output, number + 1))
        )
        hooks += [block.register_forward_pre_hook(before), block.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    if seen:  # not where every block was skipped
        hidden = seen[min(seen)]  # what enters the first that ran entered those before it
        for number in range(len(blocks) + 1):
            hidden = seen.get(number, hidden)
            layers.append(hidden)


def with_skipped(front_end: FrontEnd, frames: Tensor, layers: list[Tensor] | None) -> Tensor:
    """`frames` from which blocks that layer drop skipped get a gradient of zero.

    `layers` without any block that ran are all the frames themselves.
    """
    if layers is not None and not layers:
        layers.extend([frames] * (front_end.config.layers + 1))
    if front_end.training and front_end.config.layerdrop:
        trained = [p for p in front_end.layers.parameters() if p.requires_grad]
        frames = ZeroGradient.apply(frames, *trained)
        if layers is not None:  # of which a head that reads them makes its logits
            layers[-1] = ZeroGradient.apply(layers[-1], *trained)
    return frames


def frame_lengths(samples: Tensor, spec: tuple[tuple[int, int], ...]) -> Tensor:
    """Frames `(B,)` that convolutions of (kernel, stride) `spec` make of `samples` `(B,)`."""
    for kernel, stride in spec:
        samples = torch.div(samples - kernel, stride, rounding_mode="floor") + 1
    return samples
