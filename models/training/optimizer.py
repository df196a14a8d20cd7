"""The optimiser over what detection trains, and which of its settings a resumed run may change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import torch
from speechbrain.utils.optimizers import rm_vector_weight_decay

from dataio.schema import UserError
from models.detector import Detector

ADAM_STATE = {"step", "exp_avg", "exp_avg_sq"}


def make_optimizer(
    detector: Detector,
    opt_class: Callable,
    *,
    remove_vector_weight_decay: bool,
    head: Mapping[str, float] | None = None,
) -> torch.optim.Optimizer:
    """`opt_class` over the parameters that train; norms and biases without decay when asked.

    `head` holds what is another for the head than for the front end (`head_settings`).
    """
    groups = [{"params": detector.detection_parameters()}]
    if remove_vector_weight_decay:
        groups = rm_vector_weight_decay(detector)
    if head:
        of_head = {id(parameter) for parameter in detector.classifier.parameters()}
        groups = [
            part
            for number, group in enumerate(groups)
            for part in _front_and_head({**group, "of": number}, of_head, head)
        ]
    return opt_class(groups)


def head_settings(hparams: SimpleNamespace) -> dict[str, float]:
    """The head's own `weight_decay` and `lr_scale`, its learning rate over the front end's."""
    rate, decay = hparams.head_lr, hparams.head_weight_decay
    own = {
        "lr_scale": None if rate is None else rate / hparams.lr,
        "weight_decay": decay,
    }
    return {name: value for name, value in own.items() if value is not None}


def _front_and_head(group: dict, of_head: set[int], head: Mapping[str, float]) -> list[dict]:
    """A group in two, each in the order of before; what it says itself holds for both."""
    sides = ([], [])
    for parameter in group["params"]:
        sides[id(parameter) in of_head].append(parameter)
    parts = ({**group, "params": sides[0]}, {**head, **group, "params": sides[1]})
    return [part for part in parts if part["params"]]


def follow(schedule: Callable, optimizer: torch.optim.Optimizer, step: int) -> None:
    """The learning rates of `step`: a function of it, so that the schedule has no state."""
    schedule.current_step = step
    schedule(optimizer)
    for group in optimizer.param_groups:
        group["lr"] *= group.get("lr_scale", 1)


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
    groups: dict[int, list[str]] = {}  # front end and head apart or not: the order is the same
    for number, group in enumerate(optimizer.param_groups):
        groups.setdefault(group.get("of", number), []).extend(names[id(p)] for p in group["params"])
    order = list(groups.values())
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


def regrouped(optimizer: torch.optim.Optimizer, state: dict) -> dict:
    """A saved state, in this run's groups where the former had front end and head otherwise."""
    now, former = optimizer.state_dict()["param_groups"], state["param_groups"]
    count, saved = (sum(len(group["params"]) for group in groups) for groups in (now, former))
    if count != saved or len(now) == len(former):
        return state
    rate = former[0]["lr"] / former[0].get("lr_scale", 1)
    moved = [{**group, "lr": rate * group.get("lr_scale", 1)} for group in now]
    return {**state, "param_groups": moved}


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
