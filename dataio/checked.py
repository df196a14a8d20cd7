"""What a stranger's file says is checked where it is read, against the shape its format has.

A shape is a leaf (`NUMBER`, `NUMBER_OR_NAN`, `WHOLE`, `TEXT`, `FLAG`, `NOTHING`, `ANYTHING`), a
tuple of shapes that may stand there, a list of one shape, or a dict: the keys that must be there,
those that may (`"name?"`), and under `...` the shape of all others, which are refused without it.
"""

from __future__ import annotations

import json
import math
import os
import re
from itertools import accumulate
from pathlib import Path

from dataio.schema import UserError

# What scores, embeddings and references say of their making.
META_KEYS = ("model", "checkpoint_sha256", "engine", "precision", "layer", "pooling")

MOST_BYTES = 1 << 26  # of a JSON text
MOST_YAML_BYTES = 1 << 18  # the reader of YAML is slow
MOST_BRACKETS = 100  # open at once
MOST_TEXT = 10_000  # characters of one text
MOST_WHOLE = 1 << 63
DEEPEST = 20

NUMBER, NUMBER_OR_NAN, WHOLE = "number", "number or NaN", "whole number"
TEXT, FLAG, NOTHING, ANYTHING = "text", "flag", None, "value"
Shape = object


META = {
    **{f"{key}?": (TEXT, NOTHING) for key in META_KEYS},
    "sample_rate?": (NUMBER, NOTHING),
    ...: ANYTHING,
}


class Damaged(ValueError):
    """A file does not say what its format says; the message names the field."""


def check(value: object, shape: Shape, name: str = "", depth: int = 0) -> None:
    """Raise `Damaged` unless `value`, read from a file, has that shape."""
    if depth > DEEPEST:
        raise Damaged(f"{_at(name)} is nested more than {DEEPEST} deep")
    if isinstance(shape, dict):
        _check_record(value, shape, name, depth)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise Damaged(_not_the("a list", value, name))
        for place, part in enumerate(value):
            check(part, shape[0], f"{name}[{place}]", depth + 1)
    elif isinstance(shape, tuple):
        _check_choice(value, shape, name, depth)
    elif shape == ANYTHING and isinstance(value, dict | list):
        check(value, {...: ANYTHING} if isinstance(value, dict) else [ANYTHING], name, depth)
    elif not _is_leaf(value, shape):
        raise Damaged(_not_the("nothing" if shape is None else f"a {shape}", value, name))


def _is_leaf(value: object, shape: str | None) -> bool:
    if shape == ANYTHING:
        return isinstance(value, float) or any(
            _is_leaf(value, kind) for kind in (WHOLE, TEXT, FLAG, NOTHING)
        )
    if shape == NUMBER_OR_NAN and isinstance(value, float):
        return True
    if shape is NOTHING:
        return value is None
    if shape == TEXT:
        return isinstance(value, str) and len(value) <= MOST_TEXT
    if shape == FLAG:
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int if shape == WHOLE else int | float):
        return False
    return abs(value) < MOST_WHOLE if isinstance(value, int) else math.isfinite(value)


def _check_record(value: object, shape: dict, name: str, depth: int) -> None:
    if not isinstance(value, dict):
        raise Damaged(_not_the("a mapping", value, name))
    for key in shape:
        if key is not ... and not key.endswith("?") and key not in value:
            raise Damaged(f"{_at(name)} has no {key!r}")
    for key, part in value.items():
        if not isinstance(key, str) or len(key) > MOST_TEXT:
            raise Damaged(f"{_at(name)} has a key that is no text: {str(key)[:40]!r}")
        allowed = next((k for k in (key, f"{key}?", ...) if k in shape), None)
        if allowed is None:
            raise Damaged(f"{_at(name)} has an unknown {key[:40]!r}")
        check(part, shape[allowed], f"{name}.{key}" if name else key, depth + 1)


def _check_choice(value: object, shapes: tuple, name: str, depth: int) -> None:
    for shape in shapes:
        try:
            return check(value, shape, name, depth)
        except Damaged as error:
            last = error
    raise last


def _at(name: str) -> str:
    return f"its {name[:60]!r}" if name else "it"


def _not_the(wanted: str, value: object, name: str) -> str:
    shown = repr(value[:40] if isinstance(value, str) else value)[:60] if _is_short(value) else ""
    kind = {dict: "a mapping", list: "a list"}.get(type(value), "out of range")
    return f"{_at(name)} is {shown or kind}, expected {wanted}"


def _is_short(value: object) -> bool:
    """Whether it can be shown: an integer of 5,000 digits cannot even be printed."""
    return isinstance(value, str | bool | float | None) or (
        isinstance(value, int) and abs(value) < MOST_WHOLE
    )


def parse_json(text: str | bytes, shape: Shape, name: str = "") -> object:
    """The value of a JSON text (the field `name` of a file) of that shape; else `Damaged`."""
    if len(text) > MOST_BYTES:
        raise Damaged(f"{_at(name)} has {len(text)} bytes, more than {MOST_BYTES}")
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value = json.loads(text)
    except RecursionError:
        raise Damaged(f"{_at(name)} is nested more than {DEEPEST} deep") from None
    except ValueError as error:  # no UTF-8, no JSON, a number of 5,000 digits
        raise Damaged(f"{_at(name)} is not JSON: {str(error)[:100]}") from None
    check(value, shape, name)
    return value


def parse_yaml(text: bytes, shape: Shape) -> object:
    """The value of a YAML text of that shape: no tags, aliases or merge keys; else `Damaged`."""
    import yaml

    refuse_yaml_tricks(text)
    try:
        value = yaml.safe_load(text.decode("utf-8-sig"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Damaged(f"it is not YAML: {' '.join(str(error).split())[:100]}") from None
    check(value, shape)
    return value


def refuse_brackets(text: str) -> None:
    """`Damaged` for a text of which a YAML reader would follow brackets, or keys of keys
    (`? ? ? a`), without end: its time grows with the square of them, or doubles with each."""
    ends = accumulate((c in "[{") - (c in "]}") for c in text)
    nested = max(ends, default=0) > MOST_BRACKETS or re.search(r"(?:[?-]\s+){12}", text)
    if len(text) > MOST_YAML_BYTES or nested:
        raise Damaged(f"it is longer than {MOST_YAML_BYTES}, or nested too deep")


def refuse_yaml_tricks(text: bytes) -> None:
    """`Damaged` for a text whose size, depth, aliases or merge keys could make it grow."""
    import yaml

    if len(text) > MOST_YAML_BYTES:
        raise Damaged(f"it has {len(text)} bytes, more than {MOST_YAML_BYTES}")
    depth = 0
    try:
        refuse_brackets(text.decode("utf-8-sig"))
        for event in yaml.parse(text.decode("utf-8-sig"), Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            merges = isinstance(event, yaml.ScalarEvent) and event.value == "<<"
            if merges or isinstance(event, yaml.AliasEvent):
                raise Damaged("it has an alias or a merge key, which such a file never has")
            if depth > DEEPEST:
                raise Damaged(f"it is nested more than {DEEPEST} deep")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Damaged(f"it is not YAML: {' '.join(str(error).split())[:100]}") from None


def read_json(path: str | os.PathLike, shape: Shape, remedy: str) -> object:
    """`parse_json` of a file; `UserError` naming it and the remedy, FileNotFoundError as it is."""
    return _read(path, parse_json, shape, MOST_BYTES, remedy)


def read_yaml(path: str | os.PathLike, shape: Shape, remedy: str) -> object:
    """`parse_yaml` of a file; `UserError` naming it and the remedy, FileNotFoundError as it is."""
    return _read(path, parse_yaml, shape, MOST_YAML_BYTES, remedy)


def _read(path: str | os.PathLike, parse, shape: Shape, most: int, remedy: str) -> object:
    try:
        with Path(path).open("rb") as stream:
            return parse(stream.read(most + 1), shape)
    except FileNotFoundError:
        raise
    except Damaged as error:
        raise UserError(f"{path} is damaged ({error}): {remedy}") from None
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}): {remedy}") from None
