"""LoRA (Hu et al. 2021): W + (alpha / rank) B A for a linear layer's W, of which A and B train.

A parametrisation of `weight`, not peft's: its adapters replace a layer's call, and attention and
feed-forward here read `.weight`. So the sum is made anew in each forward, and there is no dropout
between a layer's input and A: this form never sees that input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dataio.checked import NUMBER, TEXT, WHOLE, check
from dataio.checksum import sha256_of
from dataio.pickle_records import quoted
from dataio.schema import UserError
from models.detector import Detector
from models.front_ends.native import NativeFrontEnd
from models.stored.names import PREFIX
from models.stored.tensors import StoredTensor
from models.stored.transformers_names import NAMINGS, SIGN, TRANSFORMERS, renamed

DEFAULTS = {"rank": 8, "alpha": 16, "targets": ["q_proj", "v_proj"]}
NOTE = {
    "rank": WHOLE,
    "alpha": NUMBER,
    "targets": [TEXT],
    "naming": TEXT,
    "base": TEXT,
    "sha256": TEXT,
}
UP, DOWN = ".parametrizations.weight.0.up", ".parametrizations.weight.0.down"  # B and A


class LowRank(nn.Module):
    """A weight `(O, I)` plus `scale` `up` `(O, R)` `down` `(R, I)`; `up` is zero at the start."""

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.up = nn.Parameter(weight.new_zeros(weight.shape[0], rank))
        self.down = nn.Parameter(weight.new_empty(rank, weight.shape[1]))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):  # as a merged checkpoint has it
            return torch.addmm(weight, self.up, self.down, alpha=self.scale)


def settings(spec: Mapping[str, object]) -> dict[str, object]:
    """`lora` of a YAML with its defaults; UserError for an unknown option or a wrong value."""
    known = f"choose among {', '.join(DEFAULTS)}"
    for option in spec:
        if option not in DEFAULTS:
            raise UserError(f"unknown option {option!r} of lora: {known}")
    full = {**DEFAULTS, **spec}
    rank, alpha, targets = full.values()
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise UserError(f"lora: rank is {rank!r}, expected a whole number above 0")
    is_number = isinstance(alpha, (int, float)) and not isinstance(alpha, bool)
    if not is_number or not 0 < alpha < math.inf:
        raise UserError(f"lora: alpha is {alpha!r}, expected a number above 0")
    if not isinstance(targets, list) or not targets or not all(type(t) is str for t in targets):
        raise UserError(f"lora: targets is {targets!r}, expected a list of layers' names")
    return full


def adapt(detector: Detector, full: Mapping[str, object]) -> None:
    """Freeze the front end and put adapters, of `settings`, on linear layers of its blocks.

    UserError for targets that its blocks do not have, and for engines of other kinds of blocks.
    """
    if not isinstance(detector.m_ssl, NativeFrontEnd) and detector.m_ssl.naming != TRANSFORMERS:
        raise UserError("lora adapts blocks of the engines native and transformers: choose one")
    linear = [
        (name.rpartition(".")[2], module)
        for name, module in detector.m_ssl.layers.named_modules()
        if isinstance(module, nn.Linear)
    ]
    known = list(dict.fromkeys(name for name, _ in linear))
    if unknown := [name for name in full["targets"] if name not in known]:
        raise UserError(f"lora: no layer is called {unknown[0]!r}: choose among {', '.join(known)}")
    detector.freeze("all")
    for name, module in linear:
        if name in full["targets"]:
            adapter = LowRank(module.weight, full["rank"], full["alpha"] / full["rank"])
            # `unsafe`: what it would check is true of a sum, and takes a forward of each layer.
            parametrize.register_parametrization(module, "weight", adapter, unsafe=True)


def merged(
    content: Mapping[str, object], path: Path, read: Callable[[Path], dict[str, object]]
) -> dict[str, object]:
    """The whole state of a checkpoint of adapters at `path`: its base's, read by `read`, with them.

    Sums are made when a tensor is read. ValueError where the file is not as such files are, and
    UserError where its base is not to be had.
    """
    note, own = content["lora"], content.get("state_dict")
    check(note, NOTE, "lora")
    if not isinstance(own, dict) or not all(isinstance(t, StoredTensor) for t in own.values()):
        raise ValueError("its state_dict holds more than tensors")
    if note["rank"] < 1 or note["naming"] not in NAMINGS:
        raise ValueError("its lora has a rank or a naming that there is not")
    state = read(_base(note, path))
    if (PREFIX + SIGN in state) != (note["naming"] == TRANSFORMERS):
        state = renamed(state, PREFIX, note["naming"])
    for name, tensor in own.items():
        if name.endswith(DOWN):
            continue
        if not name.endswith(UP):
            state[name] = tensor
            continue
        target, down = name.removesuffix(UP) + ".weight", own.get(name.removesuffix(UP) + DOWN)
        base = state.get(target)
        if not isinstance(base, StoredTensor) or down is None or not _fits(base, tensor, down):
            raise ValueError(f"its adapter of {quoted(target)} does not fit its base")
        state[target] = _sum(base, tensor, down, note["alpha"] / note["rank"])
    return state


def _fits(base: StoredTensor, up: StoredTensor, down: StoredTensor) -> bool:
    flat = len(base.shape) == len(up.shape) == len(down.shape) == 2
    kinds = {base.dtype.is_floating_point, up.dtype.is_floating_point, down.dtype.is_floating_point}
    return flat and kinds == {True} and base.shape == (up.shape[0], down.shape[1]) and (
        up.shape[1] == down.shape[0]
    )  # fmt: skip


def _sum(base: StoredTensor, up: StoredTensor, down: StoredTensor, scale: float) -> StoredTensor:
    def read() -> Tensor:
        weight, left, right = (tensor.read().float() for tensor in (base, up, down))
        return torch.addmm(weight, left, right, alpha=scale)

    return StoredTensor(base.shape, torch.float32, read)


def _base(note: Mapping[str, object], path: Path) -> Path:
    """The base weights, where they were or beside `path`; UserError where they are not the same."""
    noted = Path(note["base"])
    found = [place for place in (noted, path.parent / noted.name) if place.is_file()]
    for place in found:
        if sha256_of(place) == note["sha256"]:
            return place
    fault = f"{quoted(str(found[0]))} has another content now" if found else "it is not there"
    raise UserError(
        f"checkpoint {path} holds LoRA adapters of {quoted(note['base'])} (SHA-256"
        f" {quoted(note['sha256'])}), and {fault}: put that file back, or beside the checkpoint"
    )
