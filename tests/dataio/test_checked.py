"""What a file says is checked against its format's shape, quickly, whatever it holds."""

import time

import pytest

from dataio.checked import (
    ANYTHING,
    NOTHING,
    NUMBER,
    NUMBER_OR_NAN,
    TEXT,
    WHOLE,
    Damaged,
    check,
    parse_json,
    parse_yaml,
    read_json,
)
from dataio.schema import UserError

RECORD = {"name": TEXT, "n?": WHOLE, "x?": (NUMBER, NOTHING), "parts?": [{"y": NUMBER_OR_NAN}]}


@pytest.mark.parametrize(
    "sound",
    [
        {"name": "a"},
        {"name": "", "n": -3, "x": 1.5},
        {"name": "a", "x": None, "parts": [{"y": float("nan")}, {"y": 1}]},
    ],
)
def test_what_has_the_shape_passes(sound):
    check(sound, RECORD)
    check(sound, {...: ANYTHING})


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        ([], "it is a list, expected a mapping"),
        ({}, "has no 'name'"),
        ({"name": 3}, "its 'name' is 3, expected a text"),
        ({"name": "x" * 20_000}, "its 'name' is 'xxx"),
        ({"name": "a", "n": True}, "its 'n' is True, expected a whole number"),
        ({"name": "a", "n": 1.0}, "'n' is 1.0"),
        ({"name": "a", "n": 10**5000}, "'n' is out of range"),
        ({"name": "a", "x": float("inf")}, "'x' is inf"),
        ({"name": "a", "other": 1}, "unknown 'other'"),
        ({"name": "a", 3: 1}, "a key that is no text"),
        ({"name": "a", "parts": {"y": 1}}, "'parts' is a mapping, expected a list"),
        ({"name": "a", "parts": [{"y": "1"}]}, "'parts[0].y' is '1'"),
    ],
)
def test_what_has_not_is_named(damaged, told):
    with pytest.raises(Damaged) as refused:
        check(damaged, RECORD)
    assert told in str(refused.value) and len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 10**6,
        b'{"a":' * 10**5,
        b"9" * 5000,
        b"\xff",
        b"",
        b'{"a": NaN',
        b"[" * 30 + b"]" * 30,
    ],
)
def test_json_that_is_deep_long_or_none_is_refused(text):
    with pytest.raises(Damaged):
        parse_json(text, ANYTHING)


BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}]\n" for i in range(1, 40))
MERGES = "m0: &m0 {a: 1}\n" + "".join(
    f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}\n" for i in range(1, 40)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB, MERGES, "&a a: *a", "x: !apply:os.system [true]", "x: !new:os.system {}",
        "x: !!python/object/apply:os.system [true]", "unixtime: " + "9" * 5000,
        "x: 2020-13-45", "- " * 3000, "[" * 3000, "a: b: c", "\x07",
    ],
)  # fmt: skip
def test_yaml_that_grows_runs_or_is_none_is_refused_at_once(text):
    start = time.process_time()
    with pytest.raises(Damaged):
        parse_yaml(text.encode(), {...: ANYTHING})
    assert time.process_time() - start < 5


def test_a_file_is_refused_in_one_sentence_and_a_missing_one_is_the_callers(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(UserError, match="a.json is damaged .*: make it again"):
        read_json(tmp_path / "a.json", RECORD, "make it again")
    with pytest.raises(UserError, match="cannot read"):
        read_json(tmp_path, RECORD, "make it again")
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "b.json", RECORD, "make it again")
