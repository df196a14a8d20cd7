"""Numbers on their way from a device to the host: asked for now, read when they are needed."""

from __future__ import annotations

import torch
from torch import Tensor


class InFlight:
    """Tensors being copied to the host while the device goes on; on a CPU they are there.

    torch copies into pinned memory (`non_blocking` to "cpu"), which is right once the event is.
    """

    def __init__(self, *tensors: Tensor) -> None:
        self._copies = [tensor.to("cpu", non_blocking=True) for tensor in tensors]
        self._arrived = None
        if any(tensor.is_cuda for tensor in tensors):
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def read(self) -> list[Tensor]:
        """The tensors on the CPU; waits for what is still on its way."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._copies
