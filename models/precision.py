"""What `precision` means, and which arithmetic CUDA may choose by itself; no other file says so.

| word | products of matrices and convolutions | |
|---|---|---|
| `fp32` | float32 | |
| `tf32` | float32 in memory, 10 bits of mantissa in the product | CUDA; fp32 elsewhere |
| `bf16`, `fp16` | in that type, under autocast | |
"""

from __future__ import annotations

import torch

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def is_half(precision: str) -> bool:
    return DTYPES[precision] != torch.float32


class autocast(torch.autocast):
    """The context in which `precision` (fp32, tf32, bf16, fp16) holds; it can be entered again.

    What it sets of CUDA stays set after it: the backward pass belongs to the forward before it.
    """

    def __init__(self, device_type: str, precision: str) -> None:
        half = is_half(precision)
        super().__init__(device_type, dtype=DTYPES[precision] if half else None, enabled=half)
        self.precision = precision

    def __enter__(self):
        set_cuda_arithmetic(self.precision)
        return super().__enter__()


def set_cuda_arithmetic(precision: str) -> None:
    """Say what torch, cuDNN and SpeechBrain (whose import allows TF32) would each choose.

    cuDNN's attention comes first in torch 2.11 on Hopper and Blackwell, and makes a plan, most of
    a second, for every new (batch, frames): speech has hundreds. The others need none.
    """
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.enable_cudnn_sdp(False)


def as_computed(precision: str, device: str) -> str:
    """The word for what `precision` comes to on `device`: a CPU has no TF32."""
    return "fp32" if precision == "tf32" and not device.startswith("cuda") else precision


def round_weights(module: torch.nn.Module, precision: str) -> None:
    """Round once, in place, what autocast would round in every forward: half the memory as well.

    Of modules that say so (`rounded_by_autocast`): no score moves.
    """
    for part in module.modules() if is_half(precision) else ():
        if getattr(part, "rounded_by_autocast", False):
            part.to(DTYPES[precision])
