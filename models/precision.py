"""What `precision` means: autocast to bfloat16 or float16, or plain float32."""

from __future__ import annotations

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device_type: str, precision: str) -> torch.autocast:
    """The context in which `precision` (fp32, bf16, fp16) holds; off for fp32."""
    enabled = precision != "fp32"
    return torch.autocast(
        device_type, dtype=DTYPES[precision] if enabled else None, enabled=enabled
    )
