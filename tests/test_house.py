"""The house stays: who may import whom, no circles, functions that fit a screen."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.pages import ROOT

# A room imports only rooms of an earlier line. `models` alone stands for the files directly in it.
FLOORS = (
    ("dataio",),
    ("augment", "metrics", "protocols", "hparams"),
    ("models/front_ends",),
    ("models/heads",),
    ("models",),
    ("models/training", "models/scoring"),
    ("models/export", "models/serving"),
    ("drift",),
    ("main.py", "evaluation.py"),
    ("benchmarks",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
LONGEST_FUNCTION = 60


def room_of(file: str) -> str:
    """The room a file is in: `drift` for drift/distances/base.py, `models/heads` for its files."""
    return next(room for room in (str(place) for place in _up(Path(file))) if room in FLOOR)


def _up(file: Path) -> list[Path]:
    return [file, *file.parents]


def violations(imports: dict[str, set[str]]) -> list[str]:
    """Imports that do not lead to an earlier floor."""
    return sorted(
        f"{file} imports {target}"
        for file, targets in imports.items()
        for target in targets
        if room_of(file) != room_of(target) and FLOOR[room_of(target)] >= FLOOR[room_of(file)]
    )


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """Sets of files that import one another, directly or by way of others."""

    def reached(start: str) -> set[str]:
        found, open_ends = set(), [start]
        while open_ends:
            new = imports.get(open_ends.pop(), set()) - found
            found |= new
            open_ends += new
        return found

    reach = {file: reached(file) for file in imports}
    found = {
        frozenset({other for other in reach[file] if file in reach.get(other, ())})
        for file in imports
        if file in reach[file]
    }
    return sorted(map(set, found), key=sorted)


def imported_names(source: str) -> Iterator[str]:
    """Every module an import statement names, those in functions and for type checkers too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are written in full here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


@cache
def our_files() -> dict[str, str]:
    """Path in the checkout -> source, of every file of the toolkit but the tests."""
    rooms = sorted({ROOT / room.partition("/")[0] for room in FLOOR})
    found = [path for room in rooms for path in ([room] if room.is_file() else room.rglob("*.py"))]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in found}


@cache
def our_imports() -> dict[str, set[str]]:
    files = our_files()
    modules = {path[:-3].replace("/", ".").removesuffix(".__init__"): path for path in files}
    found = {}
    for file, source in files.items():
        names = set(imported_names(source))
        packages = {name.rpartition(".")[0] for name in names if name in modules}
        found[file] = {modules[name] for name in names - packages if name in modules} - {file}
    return found


@pytest.mark.needs("git")
def test_every_folder_of_code_has_its_floor():
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    rooms = {room.partition("/")[0] for room in FLOOR} | {"tests", "docs"}
    assert {path.partition("/")[0] for path in listed.stdout.split()} <= rooms


def test_folders_import_only_folders_below_them():
    assert violations(our_imports()) == []


def test_no_two_files_import_each_other():
    assert circles(our_imports()) == []


def test_no_function_is_longer_than_a_screen():
    long = [
        f"{file}: {node.name}, {node.end_lineno - node.lineno + 1} lines"
        for file, source in our_files().items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_an_import_upwards_or_sideways_is_found():
    assert violations({"dataio/audio.py": {"models/detector.py"}})
    assert violations({"augment/chain.py": {"metrics/rates.py"}})
    assert violations({"models/front_ends/native.py": {"models/detector.py"}})
    assert not violations({"models/detector.py": {"models/front_ends/native.py"}})
    assert not violations({"drift/distances/base.py": {"drift/null.py"}})


def test_a_circle_is_found_also_by_way_of_a_third_file():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_imports_in_functions_and_for_type_checkers_count():
    source = "if TYPE_CHECKING:\n    import a.b\ndef f():\n    from c import d\n"
    assert {"a.b", "c.d", "c"} <= set(imported_names(source))
