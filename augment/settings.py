"""Reading YAML settings: ranges to draw from, and refusals that name the place, key and remedy.

An effect is a dataclass whose fields are its YAML keys, declared with `span`, `choice`, `count` or
`text`; `read_effect` checks a YAML mapping against them. A field without default is required.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields
from functools import partial

import numpy as np

from dataio.schema import UserError

ANY = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Interval:
    """A uniform distribution from `low` to `high`; the ends may be equal or swapped."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...] | None = None):
        """A float, or an array of `shape`."""
        return self.low + (self.high - self.low) * rng.random(shape)


def check_keys(block: dict, known, *, required=(), where: str) -> None:
    """Raise UserError for the first key of `block` that is unknown or missing."""
    listed = ", ".join(sorted(known))
    if not isinstance(block, dict):
        raise UserError(f"{where} is {block!r}; give a mapping with the keys {listed}")
    for key in block:
        if key not in known:
            raise UserError(f"{where}: unknown key {key!r}; the keys are {listed}")
    for key in sorted(required):
        if key not in block:
            raise UserError(f"{where}: key {key!r} is missing; add it (the keys are {listed})")


def number(value, where: str, bounds: tuple[float, float] = ANY) -> float:
    """A finite number within `bounds`, both ends included."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{where} is {value!r}; give a number")
    if not bounds[0] <= value <= bounds[1]:
        raise UserError(f"{where} is {value}; give a number from {bounds[0]} to {bounds[1]}")
    return value


def whole(value, where: str, bounds: tuple[float, float] = ANY) -> int:
    """A whole number within `bounds`."""
    if number(value, where, bounds) != int(value):
        raise UserError(f"{where} is {value}; give a whole number")
    return int(value)


def ordered(low: float, high: float, where: str) -> Interval:
    """The interval from `low` to `high`, refused when it is upside down."""
    if low > high:
        raise UserError(f"{where}: {low} is above {high}; swap them")
    return Interval(low, high)


def _read_span(value, where: str, bounds) -> Interval:
    ends = value if isinstance(value, list | tuple) else (value, value)
    if len(ends) != 2:
        raise UserError(f"{where} is {value!r}; give a number or [low, high]")
    return ordered(*(number(end, where, bounds) for end in ends), where)


def _read_options(value, where: str, known) -> tuple:
    options = tuple(value) if isinstance(value, list | tuple) else (value,)
    for option in options:
        if known is not None and option not in known:
            raise UserError(
                f"{where}: unknown {option!r}; choose from {', '.join(map(str, known))}"
            )
    if not options:
        raise UserError(f"{where} is empty; give at least one value")
    return options


def _read_text(value, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(f"{where} is {value!r}; give a text")
    return value


def span(low: float, high: float, bounds: tuple[float, float] = ANY):
    """Field for a uniform range, default `low` to `high`; a lone number is a range of no width."""
    return _field(partial(_read_span, bounds=bounds), Interval(low, high))


def count(default: int, bounds: tuple[float, float]):
    """Field for a whole number."""
    return _field(partial(whole, bounds=bounds), default)


def choice(*default, known=None):
    """Field for one value or a list of them, each from `known`; one is drawn at a time."""
    return _field(partial(_read_options, known=known), default or MISSING)


def text(default=MISSING):
    """Field for a text such as a path."""
    return _field(_read_text, default)


def _field(read, default):
    return field(default=default, metadata={"read": read}, kw_only=True)


def read_effect(cls: type, settings: dict, *, where: str, sample_rate: int):
    """An instance of the effect `cls` from a YAML mapping; UserError for what it cannot take."""
    keys = {item.name: item for item in fields(cls) if "read" in item.metadata}
    needed = {name for name, item in keys.items() if item.default is MISSING}
    check_keys(settings, keys, required=needed, where=where)
    values = {
        key: keys[key].metadata["read"](value, f"{where}: {key}") for key, value in settings.items()
    }
    return cls(**values, sample_rate=sample_rate)
