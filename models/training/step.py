"""The arithmetic of one optimiser step, all of it on the device: nothing here waits for a GPU.

What a step comes to (its loss, whether it counted) is read when the next one is under way; whether
it may change the weights is decided by the device itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from models.in_flight import InFlight


class Outcome(NamedTuple):
    """A step of all ranks as the host reads it; `loss` summed over `rows`, `scale` of the loss."""

    loss: float
    nonfinite: float  # batches whose loss was
    rows: float
    seconds: float
    bad: float  # files to be told of
    stopping: float
    save_due: float
    norm: float  # of the gradient, before it was clipped
    scale: float

    @property
    def finite(self) -> bool:
        return not self.nonfinite and abs(self.norm) < float("inf")


class StepSums:
    """This rank's share of the optimiser step under way."""

    def __init__(self, device: torch.device | str) -> None:
        self._device = device
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._nonfinite = torch.zeros((), dtype=torch.float64, device=device)
        self._rows, self._seconds = 0, 0.0

    def add(self, loss: Tensor, rows: int, seconds: float) -> None:
        """A batch: its loss summed over its rows, and the audio in it."""
        self._loss += loss.detach()
        self._rows += rows
        self._seconds += seconds

    def note(self, loss: Tensor) -> None:
        """Remember a loss that is not finite."""
        self._nonfinite += ~torch.isfinite(loss.detach())

    def over_ranks(self, *known: float) -> Tensor:
        """The fields of `Outcome` up to `save_due`, of which the host gives the last as `known`."""
        host = torch.tensor([self._rows, self._seconds, *known], dtype=torch.float64)
        there = host.to(self._device, non_blocking=True)
        sums = torch.cat([torch.stack([self._loss, self._nonfinite]), there])
        if dist.is_initialized():
            dist.all_reduce(sums)
        return sums


class Step:
    """Clips, and steps unless the loss or gradient of any rank is not finite.

    `planned` rows were to be read by all ranks: the gradient is divided by those that were.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, scaler: torch.GradScaler) -> None:
        self.optimizer, self.scaler = optimizer, scaler
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def take(self, sums: Tensor, *, planned: int, max_norm: float) -> InFlight:
        """Step by the gradients there are; what it came to, on its way to the host."""
        _, nonfinite, rows, *_ = sums
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        share = (planned / rows.clamp_min(1)).float()
        norm = torch.nn.utils.get_total_norm(gradients) * share  # of every rank: DDP has summed
        # As torch's clip_grad_norm_, whose factor of 1 is not asked about either.
        clipped = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        if gradients:
            torch._foreach_mul_(gradients, clipped * share)
        self._step_unless((nonfinite > 0) | ~torch.isfinite(norm) | (rows == 0))
        self.scaler.update()
        scale = self.scaler.scale(torch.ones_like(norm))
        self.optimizer.zero_grad(set_to_none=True)
        return InFlight(torch.cat([sums, torch.stack([norm, scale]).double()]))

    def _step_unless(self, skipped: Tensor) -> None:
        if getattr(self.optimizer, "_step_supports_amp_scaling", False):
            # A fused optimiser's kernel leaves everything as it is where `found_inf` is 1: what
            # GradScaler sets, here for every precision.
            self.optimizer.found_inf, self.optimizer.grad_scale = skipped.float(), None
            self.optimizer.step()
            del self.optimizer.found_inf, self.optimizer.grad_scale
        elif not skipped:
            self.optimizer.step()


def read(step: InFlight) -> Outcome:
    """What a step came to; waits for it if it is under way."""
    return Outcome(*step.read()[0].tolist())
