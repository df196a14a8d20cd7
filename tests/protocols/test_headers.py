"""The memory of headers: what it keeps, and when it forgets."""

import os

import pytest

from dataio.schema import UserError
from protocols import headers
from protocols.headers import HeaderCache, Problem, read_headers

NAMES = ["a.wav", "b.wav", "broken.wav", "none.wav"]


@pytest.fixture
def folder(write_audio, write_text, tmp_path):
    write_audio("a.wav")
    write_audio("b.wav", seconds=1, rate=8000)
    write_text("broken.wav", "no audio")
    return str(tmp_path / "data")


def read(folder, cache=None, names=NAMES):
    return dict(read_headers(names, str, folder, cache=cache))


def test_headers_and_problems_come_back_as_they_were(folder, tmp_path):
    first = read(folder)
    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache:
        assert read(folder, cache) == first
        assert cache.fresh == 3  # a file that is not there is not remembered
    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache:
        assert read(folder, cache) == first
        assert cache.fresh == 0
    assert (first["b.wav"].sample_rate, first["b.wav"].seconds) == (8000, 1.0)
    assert isinstance(first["broken.wav"], Problem) and first["broken.wav"].kind == "unreadable"
    assert isinstance(first["none.wav"], Problem) and first["none.wav"].kind == "missing"


def test_a_file_with_another_size_or_time_is_read_again(folder, write_audio, tmp_path):
    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache:
        read(folder, cache)
    path = write_audio("a.wav", seconds=2)
    os.utime(os.path.join(folder, "b.wav"), ns=(0, 0))
    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache:
        assert read(folder, cache)["a.wav"].seconds == 2
        assert cache.fresh == 2
    assert path.exists()


def test_headers_of_another_data_folder_are_no_memory_of_this_one(folder, write_audio, tmp_path):
    first = os.path.join(folder, "a.wav")
    other = write_audio("a.wav", rate=8000, seconds=0.5, folder=tmp_path / "other")
    assert os.path.getsize(first) == os.path.getsize(other)
    os.utime(first, ns=(0, 0))
    os.utime(other, ns=(0, 0))
    link = tmp_path / "link"
    link.symlink_to(other.parent)
    for target, rate, fresh in ((folder, 16000, 1), (other.parent, 8000, 1), (link, 8000, 0)):
        with HeaderCache(tmp_path / "h.sqlite", target) as cache:
            found = read(str(target), cache, ["a.wav"])
            assert (found["a.wav"].sample_rate, cache.fresh) == (rate, fresh)


def test_a_file_that_was_repaired_is_no_longer_unreadable(folder, write_audio, tmp_path):
    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache:
        read(folder, cache)
        write_audio("broken.wav")
        assert read(folder, cache)["broken.wav"].seconds == 0.25


def test_a_new_way_of_reading_headers_forgets_the_old_ones(folder, tmp_path, monkeypatch):
    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache:
        read(folder, cache)
    monkeypatch.setattr(headers, "CACHE_VERSION", headers.CACHE_VERSION + 1)
    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache:
        read(folder, cache)
        assert cache.fresh == 3


def test_a_name_that_is_not_utf8_is_unreadable_and_said(folder, tmp_path):
    name = os.fsdecode(b"b\xe9.wav")
    os.rename(os.path.join(folder, "b.wav"), os.path.join(folder, name))
    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache:
        found = read(folder, cache, [name, "a.wav"])
    assert found[name] == Problem("unreadable", "its name is not UTF-8: rename it")
    assert found["a.wav"].seconds == 0.25


def test_a_file_that_is_no_memory_of_headers_is_refused(tmp_path):
    (tmp_path / "h.sqlite").write_text("these are no headers, and it is long enough to be read" * 9)
    with pytest.raises(UserError, match="--no_cache"), HeaderCache(tmp_path / "h.sqlite", tmp_path):
        pass


def test_two_builds_of_one_output_at_a_time_are_refused(tmp_path):
    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as first:
        first.put([])
        with (
            pytest.raises(UserError, match="another build"),
            HeaderCache(tmp_path / "h.sqlite", tmp_path),
        ):
            pass
    with HeaderCache(tmp_path / "h.sqlite", tmp_path):
        pass


@pytest.mark.parametrize(
    "spoil",
    ["UPDATE headers SET frames = 'many'", "UPDATE headers SET frames = -7",
     "UPDATE headers SET encoding = x'05'", "UPDATE headers SET path = 'a text'"],
)  # fmt: skip
def test_a_memory_that_holds_what_no_build_writes_is_read_anew(folder, tmp_path, spoil):
    import sqlite3

    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache:
        first = read(folder, cache)
    database = sqlite3.connect(tmp_path / "h.sqlite", isolation_level=None)
    database.execute(spoil.replace("UPDATE", "UPDATE OR REPLACE"))
    database.close()
    with HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache:
        assert read(folder, cache) == first and cache.fresh == 3


def test_a_link_in_the_place_of_the_memory_is_refused(tmp_path):
    (tmp_path / "h.sqlite").symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="is a link"), HeaderCache(tmp_path / "h.sqlite", tmp_path):
        pass
    assert not (tmp_path / "victim").exists()


def test_a_full_disk_under_the_memory_is_one_sentence(folder, tmp_path):
    with (
        pytest.raises(UserError, match="h.sqlite does not serve .*full.*--no_cache"),
        HeaderCache(tmp_path / "h.sqlite", tmp_path) as cache,
    ):
        pages = cache._database.execute("PRAGMA page_count").fetchone()[0]
        cache._database.execute(f"PRAGMA max_page_count = {pages}")
        cache.put((f"{'x' * 500}{i}.wav", (1, 1, 1, 1, 1, "PCM_S", 16, "")) for i in range(1000))
