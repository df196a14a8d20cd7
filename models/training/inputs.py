"""What a training step gives the detector: waveforms on its device, lengths, a seed of draws."""

from __future__ import annotations

import numpy as np
import torch

from augment.batched import apply as rawboost_on_device
from dataio.dataset import WaveformBatch


def inputs_of(
    data: WaveformBatch, device: torch.device | str, *, equal_crops: bool
) -> tuple[torch.Tensor, list[int]]:
    """(B, T) on the device, augmented there if the batch holds draws for it, and B lengths.

    `equal_crops`: cut to the shortest, so that nothing is padded. Lengths are integers, as DDP
    would move a tensor to the GPU.
    """
    waveforms = data.waveforms.to(device, non_blocking=True)
    if data.draws:
        waveforms = rawboost_on_device(waveforms, data.draws)
    lengths = data.lengths.tolist()
    if not equal_crops:
        return waveforms, lengths
    shortest = min(lengths)
    return waveforms[:, :shortest], [shortest] * len(lengths)


def draw_seed(seed: int, draw: tuple[int, int]) -> int:
    """A 63-bit seed for the dropout of one micro-batch: the same on any rank, after any restart."""
    words = np.random.SeedSequence([seed, *draw]).generate_state(2, np.uint32)
    return (int(words[0]) << 31) ^ int(words[1])
