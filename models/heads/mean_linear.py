"""The detection head: mean over a file's frames, then one linear layer to `[fake, real]`."""

from __future__ import annotations

from torch import Tensor

from models.front_ends.kernels import valid_mask


def pool_frames(frames: Tensor, frame_lengths: Tensor | None) -> Tensor:
    """The mean over time of `(B, F, D)`, over the first `frame_lengths` `(B,)` frames if given.

    Float32 whatever the precision of the frames: half-precision sums over minutes lose digits.
    """
    frames = frames.float()
    if frame_lengths is None:
        return frames.mean(1)
    padding = ~valid_mask(frame_lengths, frames.shape[1])
    total = frames.masked_fill(padding[:, :, None], 0.0).sum(1)
    return total / frame_lengths[:, None]
