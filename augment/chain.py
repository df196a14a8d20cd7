"""From the YAML's `rawboost` block and `augmentations` list to one callable.

The list is applied in its order, then RawBoost. RawBoost is last because a device can then apply it
to the batch (`augment_on: device`) with the same draws and so the same result as in a loader; to
have it elsewhere in the order, name it in the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from augment import rawboost as rb
from augment.settings import check_keys, number, read_effect
from dataio.schema import SAMPLE_RATE, UserError

COMMON = {"name", "probability", "weight"}


@dataclass(frozen=True, slots=True)
class Step:
    """With `probability`, one of `effects`, chosen in proportion to `weights` (sum 1)."""

    effects: tuple[Any, ...]
    weights: tuple[float, ...]
    probability: float

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() >= self.probability or not waveform.size:
            return waveform
        chosen = 0 if len(self.effects) == 1 else rng.choice(len(self.effects), p=self.weights)
        effect = self.effects[chosen]
        return effect.apply(waveform, effect.draw(waveform.size, rng))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Steps in order, then RawBoost; calling it with the same rng state gives the same output."""

    steps: tuple[Step, ...]
    rawboost: rb.RawBoost | None

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(T,) floating point -> (T,) of the same dtype."""
        waveform, draw = self.split(waveform, rng)
        return waveform if draw is None else rb.apply(waveform, draw)

    def split(
        self, waveform: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, rb.Draw | None]:
        """The waveform after the list, and the RawBoost draw still to be applied to it.

        A loader returns both; `augment.batched.apply` finishes the batch on the device.
        """
        for step in self.steps:
            waveform = step(waveform, rng)
        return waveform, self.rawboost and self.rawboost.draw(waveform.size, rng)


def build(
    rawboost: dict | None, augmentations: list[dict] = (), *, sample_rate: int = SAMPLE_RATE
) -> Augmentation:
    """The augmentation a YAML asks for; `rawboost` None leaves RawBoost out.

    Raises UserError for unknown or missing keys, impossible values, and codecs or files that this
    machine does not have: before the first epoch, not in it.
    """
    if not isinstance(augmentations or [], list | tuple):
        raise UserError(f"augmentations is {augmentations!r}; give a list")
    steps = [
        _read_step(entry, f"augmentations, entry {index}", sample_rate)
        for index, entry in enumerate(augmentations or (), start=1)
    ]
    return Augmentation(
        tuple(steps), None if rawboost is None else rb.RawBoost.from_yaml(rawboost, sample_rate)
    )


def _read_step(entry: dict, where: str, sample_rate: int) -> Step:
    if not isinstance(entry, dict):
        raise UserError(f"{where} is {entry!r}; give a mapping with 'name' or 'one_of'")
    group = [entry]
    if "one_of" in entry:
        check_keys(entry, {"one_of", "probability"}, where=where)
        group = entry["one_of"]
        if not isinstance(group, list) or not group:
            raise UserError(f"{where}: one_of is {group!r}; give a list of augmentations")
        where += ", one_of"
    elif "weight" in entry:
        raise UserError(f"{where}: weight is for members of one_of; give probability instead")
    weights = [number(_get(item, "weight"), f"{where}: weight", (0, np.inf)) for item in group]
    if not sum(weights):
        raise UserError(f"{where}: every weight is 0; give one above 0")
    return Step(
        effects=tuple(_read_named(item, where, sample_rate, "one_of" in entry) for item in group),
        weights=tuple(weight / sum(weights) for weight in weights),
        probability=number(_get(entry, "probability"), f"{where}: probability", (0, 1)),
    )


def _get(entry: dict, key: str) -> float:
    """A step's `probability` or a member's `weight`: 1 where not given."""
    return entry.get(key, 1) if isinstance(entry, dict) else 1


def _read_named(entry: dict, where: str, sample_rate: int, in_group: bool):
    from augment.effects import EFFECTS

    known = ", ".join(sorted([*EFFECTS, "rawboost"]))
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or name not in [*EFFECTS, "rawboost"]:
        raise UserError(f"{where}: unknown augmentation {name!r}; the names are {known}")
    if in_group and "probability" in entry:
        raise UserError(f"{where}: {name}: members of one_of take weight, not probability")
    settings = {key: value for key, value in entry.items() if key not in COMMON}
    if name == "rawboost":
        return rb.RawBoost.from_yaml(settings, sample_rate)
    return read_effect(EFFECTS[name], settings, where=f"{where} ({name})", sample_rate=sample_rate)
