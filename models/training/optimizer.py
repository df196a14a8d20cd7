"""The optimiser over what detection trains, and which of its settings a resumed run may change."""

from __future__ import annotations

import hashlib
import inspect
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
    on_gpu = next(detector.parameters()).is_cuda
    optimizer = opt_class(groups, **(kernels(opt_class) if on_gpu else {}))
    optimizer.register_load_state_dict_pre_hook(under_settings_of)
    return optimizer


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


def kernels(opt_class: Callable) -> dict[str, bool]:
    """The option for one kernel a step, where the class has it and a YAML has not chosen.

    AdamW then reads and writes 28 bytes a parameter instead of 80, without a copy of them all.
    Without it, as torch chooses on a GPU: a few kernels (`foreach`).
    """
    chosen = {"fused", "foreach", "differentiable"} & set(getattr(opt_class, "keywords", ()))
    known = inspect.signature(opt_class).parameters
    there = [name for name in ("fused", "foreach") if name in known]
    return {there[0]: True} if there and not chosen else {}


def under_settings_of(optimizer: torch.optim.Optimizer, saved: dict) -> dict:
    """A saved state with the hyper-parameters asked for now, before torch loads it.

    Torch puts `step` on the device or the host by the `fused` of the groups it is given: that of a
    run on another device, or of before there was one, would leave it where no kernel finds it.
    """
    now = settings(optimizer)
    if len(saved["param_groups"]) != len(now):
        return saved  # which torch refuses
    pairs = zip(saved["param_groups"], now, strict=True)
    return {**saved, "param_groups": [{**group, **kept} for group, kept in pairs]}


def settings(optimizer: torch.optim.Optimizer) -> list[dict]:
    """The hyper-parameters of each parameter group, less the learning rate: the schedule's."""
    return [
        {key: value for key, value in group.items() if key not in ("params", "lr")}
        for group in optimizer.param_groups
    ]


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


def own_memory(optimizer: torch.optim.Optimizer) -> None:
    """Copy the state that loading has left in a mapped file, one tensor at a time."""
    for state in optimizer.state.values():
        for key, value in state.items():
            if isinstance(value, torch.Tensor) and value.device.type == "cpu":
                state[key] = value.clone()
