"""What each key of the recipe may hold: checked before anything is built, loaded or written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from dataio.schema import UserError

_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


@dataclass(frozen=True)
class Kind:
    """`read` gives the value in its proper type, or None where it is not one; `says` names it."""

    says: str
    read: Callable[[object], object]
    optional: bool = False  # null is allowed
    verbatim: bool = False  # a word of the command line is taken as it is, not as YAML
    bare: bool = False  # `--key` alone means true
    several: bool = False  # on the command line every word up to the next option belongs to it


def flag() -> Kind:
    def read(value: object) -> bool | None:
        if isinstance(value, bool):
            return value
        word = str(value).lower()
        return True if word in _TRUE else False if word in _FALSE else None

    return Kind("True or False", read, bare=True)


def whole(least: int, *, optional: bool = False) -> Kind:
    def read(value: object) -> int | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return int(value) if math.isfinite(value) and value == int(value) >= least else None

    return Kind(f"a whole number from {least} up", read, optional)


def number(
    lower: float, upper: float = math.inf, *, optional: bool = False, ends: bool = False
) -> Kind:
    """Between `lower` and `upper`; `ends`: these two as well, but never infinity."""

    def read(value: object) -> float | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        within = lower <= value <= upper if ends else lower < value < upper
        return value if within and math.isfinite(value) else None

    if upper == math.inf:
        says = f"a number from {lower:g} up" if ends else f"a number above {lower:g}"
    else:
        says = (
            f"a number from {lower:g} to {upper:g}" if ends else f"between {lower:g} and {upper:g}"
        )
    return Kind(says, read, optional)


def port() -> Kind:
    within = number(0, 65535, ends=True)

    def read(value: object) -> int | None:
        return int(value) if within.read(value) is not None and value == int(value) else None

    return Kind("a whole number from 0 to 65535", read)


def duration() -> Kind:
    """Minutes, as a number above 0 or as H:MM:SS."""
    minutes = number(0)

    def read(value: object) -> float | None:
        if isinstance(value, str):
            parts = re.fullmatch(r"(\d+):([0-5]?\d):([0-5]?\d)", value, re.ASCII)
            value = parts and int(parts[1]) * 60 + int(parts[2]) + int(parts[3]) / 60
        return minutes.read(value)

    return Kind("minutes, or H:MM:SS", read, optional=True)


def text(*, optional: bool = False) -> Kind:
    def read(value: object) -> str | None:
        plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        return str(value) or None if plain else None

    return Kind("a name or path", read, optional, verbatim=True)


def several(says: str, choices: tuple[str, ...] = ()) -> Kind:
    """A list of words, of `choices` if there are any; one word stands for a list of one."""

    def read(value: object) -> list[str] | None:
        words = value if isinstance(value, list) else [value]
        known = all(isinstance(word, str) and word for word in words)
        fits = known and (not choices or set(words) <= set(choices))
        return list(dict.fromkeys(map(str, words))) or None if fits else None

    return Kind(says, read, optional=True, verbatim=True, several=True)


def part(key: str = "name") -> Kind:
    """A part of the detector or its training: a name, or a mapping of it, as `key`, and options."""

    def read(value: object) -> dict | None:
        spec = {key: value} if isinstance(value, str) else value
        named = isinstance(spec, dict) and isinstance(spec.get(key), str)
        return spec if named else None

    return Kind(f'a name, or "{{{key}: NAME, option: value}}"', read)


def options() -> Kind:
    """A part that may be absent, as a mapping of options; `{}` is the part with its defaults."""
    return Kind(
        'options, as "{option: value}"',
        lambda value: dict(value) if isinstance(value, dict) else None,
        optional=True,
    )


KINDS = {
    **dict.fromkeys(("head", "loss"), part()),
    "lora": options(),
    "onnx": several("fp32, int8 or both", ("fp32", "int8")),
    "scores": several("score files"),
    "front_end": part("engine"),
    **dict.fromkeys(
        ("exp_name", "data_folder", "ssl_weight_folder", "protocol_folder", "output_folder",
         "train_csv", "valid_csv", "test_csv", "score_path", "host"),
        text(),
    ),
    **dict.fromkeys(
        ("model", "base_path", "cache_folder", "ckpt_path", "calibration", "output", "license",
         "push", "token"),
        text(optional=True),
    ),
    **dict.fromkeys(
        ("mask_padding", "checkpoint_activations", "use_da", "valid_augment", "allow_skipped",
         "html", "dry_run", "equal_crops"),
        flag(),
    ),
    **dict.fromkeys(
        ("num_buckets", "prefetch_factor", "number_of_epochs", "grad_accumulation_factor",
         "nonfinite_patience", "valid_step", "log_interval",
         "max_waiting", "pad_to_frames", "keep_last", "keep_best"),
        whole(1),
    ),
    **dict.fromkeys(
        ("num_workers", "max_bad_files", "seed", "warmup", "ckpt_interval_steps"), whole(0)
    ),
    "optimizer_step_limit": whole(1),
    "port": port(),
    **dict.fromkeys(("best", "last"), whole(1, optional=True)),
    "time_limit": duration(),
    "freeze_until_step": whole(0, optional=True),
    **dict.fromkeys(
        ("max_batch_length", "valid_batch_length", "lr", "adam_eps", "distributed_timeout",
         "max_upload_mb", "max_seconds", "request_timeout"),
        number(0),
    ),
    **dict.fromkeys(
        ("weight_decay", "max_grad_norm", "ckpt_interval_minutes"), number(0, ends=True)
    ),
    "ema_decay": number(0, 1, optional=True),
    "head_lr": number(0, optional=True),
    "head_weight_decay": number(0, optional=True, ends=True),
    "lr_decay": number(0, 1, ends=True),
    **dict.fromkeys(
        ("max_valid_duration", "max_whole_seconds", "window_seconds", "hop_seconds"),
        number(0, optional=True),
    ),
    "min_duration": number(0, optional=True, ends=True),
    "threshold": number(0, 1, ends=True),
    "hysteresis": number(0, 1, ends=True),
    "least_seconds": number(0, ends=True),
    "prior_real": number(0, 1, optional=True),
    "rate": whole(4000),
    "pace": number(0, optional=True),
    **dict.fromkeys(("max_far", "max_frr"), number(0, 0.5)),
}  # fmt: skip


def proper(key: str, value: object) -> object:
    """`value` in the type of `key`; UserError when it is none. Keys without a kind pass."""
    kind = KINDS.get(key)
    if kind is None or (value is None and kind.optional):
        return value
    read = None if value is None else kind.read(value)
    if read is None:
        or_null = " or null" if kind.optional else ""
        raise UserError(f"{key} is {value!r}: expected {kind.says}{or_null}")
    return read
