"""Where the distances are computed: chosen once for a process, a GPU where there is one.

Products of float32 are float32's on a GPU too (no TF32): p-values count ties, and a reference is
compared with what another machine computed.
"""

from __future__ import annotations

from dataio.schema import UserError

_chosen: str | None = None


def choose_device(wanted: str | None) -> None:
    """Compute on `wanted` (cpu, cuda, cuda:N) from now on; UserError where that is not there."""
    global _chosen
    if wanted is not None:
        import torch

        try:
            kind = torch.device(wanted)
        except RuntimeError:
            kind = None
        if kind is None or kind.type not in ("cpu", "cuda"):
            raise UserError(f"--device {wanted} is unknown: write cpu, cuda or cuda:N")
        count = torch.cuda.device_count()
        if kind.type == "cuda" and (kind.index or 0) >= count:
            raise UserError(f"--device {wanted}: this host has {count} CUDA devices: write cpu")
    _chosen = wanted


def chosen_device():
    """A torch.device: the one chosen, else a GPU where there is one."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return torch.device(_chosen or ("cuda" if torch.cuda.is_available() else "cpu"))
