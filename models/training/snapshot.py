"""Copies of what a detector trains, such as its average over the steps.

Each is a part of the `last` checkpoint. What never trains is not copied: it is the detector's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from speechbrain.utils.checkpoints import mark_as_saver, register_checkpoint_hooks
from torch import Tensor

from models.detector import Detector

AVERAGE = "ema"  # its name among the copies and in a checkpoint


def trained_tensors(detector: Detector) -> dict[str, Tensor]:
    """By name: the parameters that train, and the buffers, which follow them."""
    trained = {name: p for name, p in detector.named_parameters() if p.requires_grad}
    return trained | dict(detector.named_buffers())


@register_checkpoint_hooks
class Snapshot:
    """A frozen copy of `trained_tensors`, taken at the start."""

    def __init__(self, detector: Detector):
        self.detector = detector
        self.tensors: dict[str, Tensor] = {}

    def begin(self) -> None:
        """Take the copy, unless a checkpoint has given it."""
        if not self.tensors:
            self.take()

    def take(self) -> None:
        """Make it what the detector is now."""
        now = trained_tensors(self.detector)
        self.tensors = {name: tensor.detach().clone() for name, tensor in now.items()}

    def after_step(self, step: int) -> None:
        """What optimiser step `step`, the first being 1, changes in the copy."""

    def exchange(self) -> None:
        """Let the detector hold the copy, and the copy what the detector held.

        Memory changes hands, nothing is computed: not between a forward and its backward.
        """
        for name, tensor in trained_tensors(self.detector).items():
            tensor.data, self.tensors[name] = self.tensors[name], tensor.data

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The detector holds the copy meanwhile."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    @mark_as_saver
    def save(self, path: Path) -> None:
        torch.save(self.tensors, path)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """ValueError where the tensors are not those that train."""
        now = trained_tensors(self.detector)
        if state.keys() != now.keys():
            raise ValueError("it holds other tensors than those that train")
        if any(state[name].shape != tensor.shape for name, tensor in now.items()):
            raise ValueError("a tensor has another shape")
        self.tensors = {name: state[name].to(tensor) for name, tensor in now.items()}


class Average(Snapshot):
    """Follows the detector by 1 - `decay` of the way in each step: its exponential moving average.

    Early on by 1 - (1 + step) / (10 + step), lest the first weights linger.
    """

    def __init__(self, detector: Detector, decay: float):
        super().__init__(detector)
        self.decay = decay

    def after_step(self, step: int) -> None:
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, tensor in trained_tensors(self.detector).items():
                if tensor.is_floating_point():
                    self.tensors[name].lerp_(tensor, share)
                else:  # how many batches a batch norm has seen
                    self.tensors[name].copy_(tensor)


class Copies(dict[str, Snapshot]):
    """By name, those that the YAML asks for."""

    def __init__(self, detector: Detector, hparams: Mapping[str, object]):
        super().__init__()
        if hparams["ema_decay"] is not None:
            self[AVERAGE] = Average(detector, hparams["ema_decay"])

    def begin(self) -> None:
        for copy in self.values():
            copy.begin()

    def after_step(self, step: int) -> None:
        for copy in self.values():
            copy.after_step(step)

    def exchange_average(self) -> None:
        """The averaged weights, where there are any, are what is validated and may be the best."""
        if AVERAGE in self:
            self[AVERAGE].exchange()
