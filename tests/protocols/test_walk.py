"""Walking in the published order, in little memory."""

import glob
import random

import pytest

from protocols import walk as walking
from protocols.walk import PathTemplate, sort_texts, walk

NAMES = ["a/x.wav", "a-b/x.wav", "a.b/x.wav", "a/x/y.wav", "a/x-1.wav", "ab/x.wav", "a0.wav",
         "A/z.wav", "a/.hidden.wav", "a/x.WAV", "é/x.wav", "a/x.flac", "a b/x.wav"]  # fmt: skip


@pytest.fixture
def tree(tmp_path):
    for name in NAMES:
        path = tmp_path / "top" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return str(tmp_path / "top")


@pytest.mark.parametrize("in_memory", [1000, 2])
def test_the_order_is_that_of_sorted_full_paths(tree, in_memory, monkeypatch):
    monkeypatch.setattr(walking, "SORTED_IN_MEMORY", in_memory)
    published = sorted(glob.glob(f"{tree}/**/*.wav", recursive=True))
    assert list(walk(tree, (".wav",))) == published
    assert len(published) == 10


def test_suffixes_in_any_case_on_request(tree):
    assert f"{tree}/a/x.WAV" in walk(tree, (".wav",), any_case=True)
    assert f"{tree}/a/x.WAV" not in walk(tree, (".wav",))


def test_linked_folders_are_followed_but_not_in_circles(tree, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "far.wav").touch()
    (tmp_path / "top/link").symlink_to(other)
    (tmp_path / "top/a/loop").symlink_to(tmp_path / "top")
    found = list(walk(tree, (".wav",)))
    assert f"{tree}/link/far.wav" in found
    assert not [path for path in found if "loop" in path]


def test_sorting_in_runs_equals_sorting_at_once(monkeypatch):
    monkeypatch.setattr(walking, "SORTED_IN_MEMORY", 7)
    texts = [f"{random.Random(i).random()}\n{i}" for i in range(100)]
    assert list(sort_texts(texts)) == sorted(texts)


@pytest.mark.parametrize(
    ("template", "path", "fields"),
    [
        ("{a}/{stem}.wav", "x/y.wav", {"a": "x", "stem": "y"}),
        ("{a}/{stem}.wav", "x/y.wav_16k.wav", {"a": "x", "stem": "y.wav_16k"}),
        ("{a}/{stem}.wav", "x/z/y.wav", None),
        ("{a*}/{stem}.wav", "x/z/y.wav", {"a": "x/z", "stem": "y"}),
        ("mls_{a}/{stem}.flac", "mls_dutch/y.flac", {"a": "dutch", "stem": "y"}),
        ("a.b/{stem}.wav", "aXb/y.wav", None),
    ],
)
def test_a_template_names_the_parts_of_a_path(template, path, fields):
    found = PathTemplate(template).match(path)
    assert (vars(found) if found else None) == fields
