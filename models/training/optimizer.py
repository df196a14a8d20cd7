"""The optimiser over what detection trains, and which of its settings a resumed run may change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import torch
from speechbrain.utils.optimizers import rm_vector_weight_decay

from dataio.schema import UserError
from models.detector import Detector

ADAM_STATE = {"step", "exp_avg", "exp_avg_sq"}


def make_optimizer(
    detector: Detector, opt_class: Callable, *, remove_vector_weight_decay: bool
) -> torch.optim.Optimizer:
    """`opt_class` over the parameters that train; norms and biases without decay when asked."""
    if remove_vector_weight_decay:
        return opt_class(rm_vector_weight_decay(detector))
    return opt_class(detector.detection_parameters())


def settings(optimizer: torch.optim.Optimizer) -> list[dict]:
    """The hyper-parameters of each parameter group, less the learning rate: the schedule's."""
    return [
        {key: value for key, value in group.items() if key not in ("params", "lr")}
        for group in optimizer.param_groups
    ]


def reapply(optimizer: torch.optim.Optimizer, wanted: list[dict]) -> None:
    """Set the hyper-parameters that loading a checkpoint has set back."""
    for group, now in zip(optimizer.param_groups, wanted, strict=True):
        group.update(now)


def trained_part(optimizer: torch.optim.Optimizer, detector: Detector, options: dict) -> dict:
    """What the optimiser's saved state belongs to: `options` that choose it, and a digest of it.

    The state knows its parameters by their order alone, so another order of as many is as wrong.
    """
    names = {id(parameter): name for name, parameter in detector.named_parameters()}
    order = [[names[id(p)] for p in group["params"]] for group in optimizer.param_groups]
    kind = type(optimizer).__name__
    digest = hashlib.sha256(json.dumps([kind, order]).encode()).hexdigest()[:16]
    return {**options, "optimiser": kind, "parameters": digest}


def refuse_other_part(former: dict, now: dict, where: object) -> None:
    """UserError when a checkpoint's optimiser state belongs to other parameters than this run's."""
    if former["parameters"] == now["parameters"]:
        return
    changed = [
        f"{key} {former.get(key)}, not {value}"
        for key, value in now.items()
        if key != "parameters" and former.get(key) != value
    ]
    raise UserError(
        f"{where} was trained with {' and '.join(changed) or 'other parameters'}, so its optimiser"
        " does not fit: resume with the former setting, or start another run with --exp_name"
        " (its weights: --ckpt_path)"
    )


def refuse_foreign_state(optimizer: torch.optim.Optimizer) -> None:
    """ValueError for a state that would fail in the first step: torch only counts parameters."""
    needed = ADAM_STATE if isinstance(optimizer, torch.optim.Adam) else set()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if state and not needed <= set(state):
                raise ValueError("the state of a parameter lacks a tensor")
            for value in state.values():
                is_tensor = isinstance(value, torch.Tensor)
                if is_tensor and value.shape not in (parameter.shape, torch.Size([])):
                    raise ValueError("the state of a parameter has another shape")
                if not is_tensor and not isinstance(value, (int, float)):
                    raise ValueError("the state of a parameter is no number")
