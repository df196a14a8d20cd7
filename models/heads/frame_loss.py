"""The cross-entropy of a file's segments beside its own: what teaches a detector where.

A segment's logits are the mean of the frame logits in it, so that those of the file stay the mean
of its frames: one head answers both. `loss: {name: cross_entropy, frames: 1.0, resolution: 0.16}`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from dataio.schema import UserError
from models.heads.interface import Head

FRAME_SECONDS = 0.02  # the stride of the convolutions, 320 samples
RESOLUTIONS = tuple(FRAME_SECONDS * 2**k for k in range(6))  # seconds: 0.02 to 0.64
DEFAULT_RESOLUTION = 0.16


class FrameLoss:
    """`weight` times the mean cross-entropy of the segments of `resolution` seconds."""

    def __init__(self, weight: float, resolution: float):
        self.weight, self.resolution = weight, resolution
        self.frames = round(resolution / FRAME_SECONDS)  # in a segment

    def __call__(self, frame_logits: Tensor, frame_lengths: Tensor, labels: Tensor) -> Tensor:
        """(B,): 0 for a file of which no segment is labelled.

        `frame_logits` (B, F, 2), of which `frame_lengths` (B,) count; `labels` (B, K) of segments,
        1 real, 0 fake, -1 not known or padding.
        """
        batch, frames, _ = frame_logits.shape
        missing = -frames % self.frames
        count = (frames + missing) // self.frames
        inside = torch.arange(frames, device=frame_logits.device) < frame_lengths[:, None]
        held = F.pad(frame_logits * inside[..., None], (0, 0, 0, missing))
        sums = held.view(batch, count, self.frames, 2).sum(2)
        sizes = F.pad(inside, (0, missing)).view(batch, count, self.frames).sum(2)
        labels = F.pad(labels, (0, max(count - labels.shape[1], 0)), value=-1)[:, :count].long()
        known = (labels >= 0) & (sizes > 0)
        logits = sums / sizes.clamp_min(1)[..., None]
        entropy = F.cross_entropy(logits.mT, labels.clamp_min(0), reduction="none")
        mean = (entropy * known).sum(1) / known.sum(1).clamp_min(1)
        return self.weight * mean


def build_frame_loss(spec: Mapping[str, object]) -> FrameLoss | None:
    """What a YAML's `loss` says of frames, None where it says nothing; UserError for no numbers."""
    weight = spec.get("frames")
    if weight is None:
        if "resolution" in spec and "frames" not in spec:  # frames: null takes a YAML's away
            raise UserError("loss: resolution changes nothing without frames, the weight of frames")
        return None
    resolution = spec.get("resolution", DEFAULT_RESOLUTION)
    numbers = [x for x in (weight, resolution) if type(x) in (int, float)]
    if len(numbers) < 2 or not 0 < weight < float("inf"):
        raise UserError(f"loss: frames is {weight!r}, expected the weight of frames, above 0")
    near = [step for step in RESOLUTIONS if abs(step - resolution) < 1e-6]
    if not near:
        steps = ", ".join(f"{step:g}" for step in RESOLUTIONS)
        raise UserError(f"loss: resolution is {resolution!r}, expected one of {steps} seconds")
    if spec.get("name", "cross_entropy") != "cross_entropy":
        raise UserError(f"loss {spec['name']} has no loss of frames: choose cross_entropy")
    return FrameLoss(float(weight), near[0])


def require_frames(head: Head, name: str) -> None:
    """UserError for a head whose logits are no mean over frames: none could be labelled."""
    if type(head).averaged is Head.averaged:
        raise UserError(
            f"head {name} gives no logits of frames, which loss frames needs: choose mean_linear, "
            "layer_sum or sls_mean"
        )
