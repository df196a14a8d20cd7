"""What is put around a detector that trains: torch.compile, and DDP between processes."""

from __future__ import annotations

import torch
from speechbrain import Brain
from torch.nn.parallel import DistributedDataParallel

from dataio.schema import UserError
from models.detector import Detector


def compile_front_end(detector: Detector, options: Brain) -> None:
    """`--compile True`: the front end alone, in place, so that no tensor's name changes.

    `options`: the Brain, which holds SpeechBrain's run options. UserError for what would compile
    something else.
    """
    if options.jit or options.jit_module_keys or options.compile_module_keys:
        raise UserError("jit and compile_module_keys are not supported: use --compile True")
    if options.compile:
        dynamic = options.compile_using_dynamic_shape_tracing or None  # None: from a second shape
        detector.m_ssl.compile(mode=options.compile_mode, dynamic=dynamic)


def distributed(detector: Detector, device: str, *, find_unused: bool) -> DistributedDataParallel:
    """As SpeechBrain's, but gradients are views of DDP's buckets: there is one copy of them.

    Batch norms are joined on GPUs only: torch has no such norm for a CPU.
    """
    on_gpu = torch.device(device).type == "cuda"
    return DistributedDataParallel(
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(detector) if on_gpu else detector,
        device_ids=[device] if on_gpu else None,
        find_unused_parameters=find_unused,
        gradient_as_bucket_view=True,
    )
