"""The mapped table: the CSV's rows, one cache for all, and refusals that name line and remedy."""

import multiprocessing
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.protocol_scale import own_mb, write_csv
from dataio import protocol
from dataio.protocol import ProtocolRow, ProtocolTable
from dataio.schema import COLUMNS, UserError

REAL_AND_FAKE = [{"Label": "real", "Duration": "1.25"}, {"Label": "fake"}, {"Label": "real"}]


def open_table(path, **options):
    return ProtocolTable.open(path, data_folder="/corpora", **options)


def caches(folder):
    return [path for path in (folder / protocol.CACHE_FOLDER).iterdir() if path.is_dir()]


# --- what it gives -----------------------------------------------------------------------------


def test_rows_are_those_of_the_csv_in_their_order(write_protocol):
    table = open_table(write_protocol(REAL_AND_FAKE))
    assert len(table) == 3
    assert table.row(0) == ProtocolRow("Set-0", 1, 1.25, "/corpora/a/0.wav")
    assert [table.ids(i) for i in range(3)] == ["Set-0", "Set-1", "Set-2"]
    assert table.labels.tolist() == [1, 0, 1] and table.labels.dtype == np.int8
    assert table.durations.tolist() == [1.25, 2, 2] and table.durations.dtype == np.float32
    with pytest.raises(IndexError):
        table.row(3)


def test_names_with_commas_quotes_and_accents_are_kept(write_protocol):
    row = {"ID": 'Set-"é", 1', "Path": "$ROOT//ü, v2/NA.wav"}
    table = open_table(write_protocol([row]))
    assert table.row(0).id == 'Set-"é", 1'
    assert table.row(0).path == "/corpora/ü, v2/NA.wav"


def test_paths_without_root_stay(write_protocol):
    assert open_table(write_protocol([{"Path": "/elsewhere/a.wav"}])).path(0) == "/elsewhere/a.wav"


def test_byte_order_mark_blank_lines_and_crlf_are_read_over(tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes(
        b"\xef\xbb\xbfID,Label,Duration,Path\r\nS-1,real,1.5,$ROOT/a\r\n\r\nS-2,fake,2,b\r\n"
    )
    table = open_table(path)
    assert [table.row(i).id for i in range(len(table))] == ["S-1", "S-2"]


def test_scoring_needs_no_labels_and_no_durations(write_protocol):
    bare = open_table(write_protocol([{}, {}], columns=["ID", "Path"]), require_labels=False)
    assert bare.labels.tolist() == [-1, -1] and np.isnan(bare.durations).all()
    dashes = write_protocol([{"Label": "-", "Duration": "-"}, {"Label": ""}], name="q.csv")
    table = open_table(dashes, require_labels=False)
    assert table.labels.tolist() == [-1, -1]
    assert np.isnan(table.durations[0]) and table.durations[1] == 2


def test_many_blocks_are_one_table(write_protocol, monkeypatch):
    monkeypatch.setattr(protocol, "_BLOCK_BYTES", 4096)
    table = open_table(write_protocol([{"Label": ("real", "fake")[i % 2]} for i in range(5000)]))
    assert len(table) == 5000 and table._ids.num_chunks > 10
    for i in (0, 1, 2499, 4999):
        assert table.row(i) == ProtocolRow(f"Set-{i}", 1 - i % 2, 2.0, f"/corpora/a/{i}.wav")


def test_arrays_are_maps_of_the_cache_and_read_only(write_protocol):
    table = open_table(write_protocol(REAL_AND_FAKE))
    assert isinstance(table.durations, np.memmap) and isinstance(table.labels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        table.labels[0] = 0


def _own_growth(path, results):
    before = own_mb()
    table = open_table(path)
    for i in range(0, len(table), 20):
        table.row(i)
    results.put((len(table), own_mb() - before))


@pytest.mark.needs("workers")
def test_a_worker_owns_next_to_nothing_of_a_table(tmp_path):
    """200,000 rows, 17 MB of cache: what a further process adds on opening it and looking up."""
    write_csv(tmp_path / "p.csv", 200_000)
    open_table(tmp_path / "p.csv")
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=_own_growth, args=(tmp_path / "p.csv", results))
    process.start()
    rows, megabytes = results.get(timeout=60)
    process.join()
    assert rows == 200_000 and megabytes < 3


def test_a_pickled_table_is_its_path_only(write_protocol):
    small = open_table(write_protocol(REAL_AND_FAKE))
    large = open_table(write_protocol([{"Label": "real"}] * 3000, name="large.csv"))
    assert len(pickle.dumps(large)) < len(pickle.dumps(small)) + 50 < 1000
    again = pickle.loads(pickle.dumps(small))
    assert [again.row(i) for i in range(3)] == [small.row(i) for i in range(3)]


# --- its cache ---------------------------------------------------------------------------------


def test_a_second_opening_builds_nothing(write_protocol, monkeypatch):
    path = write_protocol(REAL_AND_FAKE)
    rows = [open_table(path).row(i) for i in range(3)]
    monkeypatch.setattr(protocol, "_build", lambda *_: pytest.fail("built again"))
    assert [open_table(path).row(i) for i in range(3)] == rows


def test_a_changed_csv_has_a_new_cache_and_the_old_one_goes(write_protocol, tmp_path):
    path = write_protocol(REAL_AND_FAKE)
    first = open_table(path).cache
    write_protocol([*REAL_AND_FAKE, {"Label": "fake"}])
    table = open_table(path)
    assert len(table) == 4 and table.cache != first
    assert [os.fspath(cache) for cache in caches(tmp_path)] == [table.cache]


def test_a_change_that_keeps_size_and_time_is_noticed(write_protocol):
    path = write_protocol(REAL_AND_FAKE)
    before = path.stat()
    open_table(path)
    path.write_bytes(path.read_bytes().replace(b"Set-1", b"Set-9"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert open_table(path).ids(1) == "Set-9"


def test_a_table_in_use_outlives_a_change_of_its_csv(write_protocol):
    path = write_protocol(REAL_AND_FAKE)
    old = open_table(path)
    write_protocol([{"ID": "New-1"}])
    assert open_table(path).ids(0) == "New-1"
    assert old.row(2).id == "Set-2"
    assert pickle.loads(pickle.dumps(old)).row(2).id == "Set-2"  # what a new worker would do


def test_the_cache_goes_where_it_is_told(write_protocol, tmp_path):
    path = write_protocol(REAL_AND_FAKE)
    table = open_table(path, cache_folder=tmp_path / "fast" / "disk")
    assert Path(table.cache).parent == tmp_path / "fast" / "disk"
    assert not (tmp_path / protocol.CACHE_FOLDER).exists()


def test_equal_names_in_different_folders_do_not_share(write_protocol, tmp_path):
    one = write_protocol([{"ID": "A-1"}])
    (tmp_path / "b").mkdir()
    two = tmp_path / "b" / "p.csv"
    two.write_text(one.read_text().replace("A-1", "B-1"))
    tables = [open_table(path, cache_folder=tmp_path / "c") for path in (one, two)]
    assert [table.ids(0) for table in tables] == ["A-1", "B-1"]


def test_a_folder_that_takes_no_cache_is_worked_around(write_protocol, tmp_path, monkeypatch):
    path = write_protocol(REAL_AND_FAKE)
    (tmp_path / protocol.CACHE_FOLDER).write_text("a file where the folder would be")
    monkeypatch.setattr(protocol.tempfile, "gettempdir", lambda: os.fspath(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    assert Path(open_table(path).cache).is_relative_to(tmp_path / "t")


def test_what_a_killed_builder_left_is_no_cache(write_protocol, tmp_path):
    path = write_protocol(REAL_AND_FAKE)
    cache = Path(open_table(path).cache)
    half = cache.with_name(cache.name + ".building-x")
    cache.rename(half)
    (half / "meta.json").unlink()
    assert len(open_table(path)) == 3


def _open_and_report(path, barrier, builds, results):
    build = protocol._build

    def counted(*arguments):
        with builds.get_lock():
            builds.value += 1
        build(*arguments)

    protocol._build = counted
    barrier.wait()
    table = open_table(path)
    results.put((len(table), table.cache, table.ids(len(table) - 1)))


@pytest.mark.needs("workers")
def test_of_several_processes_one_builds_and_the_others_wait(write_protocol):
    path = write_protocol([{"Label": ("real", "fake")[i % 2]} for i in range(20_000)])
    context = multiprocessing.get_context("fork")
    barrier, builds, results = context.Barrier(3), context.Value("i", 0), context.Queue()
    arguments = (path, barrier, builds, results)
    processes = [context.Process(target=_open_and_report, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    seen = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert builds.value == 1
    assert seen == {(20_000, open_table(path).cache, "Set-19999")}


# --- refusals ----------------------------------------------------------------------------------


def refusal(path, **options):
    with pytest.raises(UserError) as error:
        open_table(path, **options)
    assert "\n" not in str(error.value)
    assert os.fspath(path) in str(error.value)
    assert not list(Path(path).parent.glob(f"{protocol.CACHE_FOLDER}/*building*"))
    return str(error.value)


@pytest.mark.parametrize(
    "row, words",
    [
        ({"Label": "bonafide"}, "unknown label 'bonafide'.*line 5.*expected 'real'"),
        ({"Label": "-"}, "line 5 has no label"),
        ({"Duration": "long"}, "line 5 has the duration 'long': expected seconds above 0"),
        ({"Duration": "0.0"}, "line 5 has the duration '0.0'"),
        ({"Duration": "-1"}, "line 5 has the duration '-1'"),
        ({"Duration": "nan"}, "line 5 has the duration 'nan'"),
        ({"Duration": "inf"}, "line 5 has the duration 'inf'"),
        ({"Duration": "-"}, "line 5 has the duration '-'"),
        ({"ID": ""}, "line 5 has an empty ID"),
        ({"Path": ""}, "line 5 has an empty Path"),
        ({"ID": "Set-1"}, "ID 'Set-1' in line 3 and again in line 5.*rename or remove"),
    ],
)
def test_a_faulty_row_is_refused_with_its_line(write_protocol, row, words):
    assert re.search(words, refusal(write_protocol([*REAL_AND_FAKE, row, {}])))


def test_a_faulty_row_is_refused_again_the_second_time(write_protocol):
    path = write_protocol([{"Label": "-"}])
    assert open_table(path, require_labels=False).labels.tolist() == [-1]  # and has a cache now
    assert "line 2 has no label" in refusal(path)


def test_a_field_too_many_is_refused_with_its_line(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("ID,Label,Duration,Path\nS-1,real,1.5,a\nS-2,real,1.5,a,b\n")
    assert "line 3 has 5 fields where the header has 4" in refusal(path)


def test_lines_are_counted_over_blank_ones(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("ID,Label,Duration,Path\n\nS-1,real,1.5,a\n\nS-2,rael,1.5,b\n")
    assert "line 5" in refusal(path)


@pytest.mark.parametrize("missing", ["ID", "Label", "Duration", "Path"])
def test_a_missing_column_is_named(write_protocol, missing):
    path = write_protocol([{}], columns=[name for name in COLUMNS if name != missing])
    assert f"lacks the column {missing}: the first line has to read ID,Label" in refusal(path)


def test_several_missing_columns_are_all_named(write_protocol):
    path = write_protocol([{}], columns=["ID", "Speaker"])
    assert "lacks the columns Label, Duration, Path" in refusal(path)
    assert "lacks the column Path" in refusal(path, require_labels=False)


def test_a_column_named_twice_is_refused(tmp_path):
    (tmp_path / "p.csv").write_text("ID,Label,Duration,Path,ID\nS-1,real,1.5,a,b\n")
    assert "has two columns 'ID'" in refusal(tmp_path / "p.csv")


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "there is no protocol"),
        (b"", "is empty"),
        (b"ID,Label,Duration,Path\n", "no rows"),
        (b"ID,Label,Duration,Path\nS-\xff,real,1.5,a\n", "line 2, is not UTF-8"),
        (b"PK\x03\x04\xff\xfe\x00\x00", "line 1, is not UTF-8"),
    ],
)
def test_what_is_no_protocol_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "p.csv").write_bytes(content)
    assert words in refusal(tmp_path / "p.csv")


def test_one_class_is_refused_where_both_are_needed(write_protocol):
    open_table(write_protocol(REAL_AND_FAKE)).require_both_classes()
    table = open_table(write_protocol([{"Label": "fake"}] * 3, name="fakes.csv"))
    with pytest.raises(UserError, match=r"fakes\.csv has no row labelled 'real'.*both"):
        table.require_both_classes()


def test_a_root_that_resolves_nowhere_is_named(write_protocol, tmp_path):
    path = write_protocol(REAL_AND_FAKE)
    table = ProtocolTable.open(path, data_folder=tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"\$ROOT .*nowhere, which does not exist: set data_folder"):
        table.check_paths()


def test_paths_that_are_all_missing_are_refused(write_protocol, tmp_path):
    table = ProtocolTable.open(write_protocol(REAL_AND_FAKE), data_folder=tmp_path)
    with pytest.raises(UserError, match=r"none of the 3 files .* exists, .*a/0\.wav of line 2"):
        table.check_paths()


def test_some_missing_paths_are_counted(write_protocol, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "2.wav").touch()
    table = ProtocolTable.open(write_protocol(REAL_AND_FAKE), data_folder=tmp_path)
    assert table.check_paths() == 2
    assert table.check_paths(sample=2) == 1  # the first and the last


def test_a_disk_that_fills_during_the_build_is_named(write_protocol, monkeypatch):
    def fill(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(protocol, "_build", fill)
    words = refusal(write_protocol(REAL_AND_FAKE))
    assert "No space left on device" in words and "cache_folder" in words


def test_a_cache_folder_that_cannot_be_made_is_named(write_protocol, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*file/below .*names as a folder is a file"):
        open_table(write_protocol([{}]), cache_folder=tmp_path / "file" / "below")


def test_ids_that_differ_in_outer_blanks_are_the_same_to_evaluation_and_refused(write_protocol):
    path = write_protocol([{"ID": "S-1"}, {"ID": "S-2"}, {"ID": " S-1 "}])
    with pytest.raises(UserError, match="'S-1' in line 2 and again in line 4"):
        open_table(path)


def test_the_line_that_is_not_utf8_is_named_behind_quoted_line_breaks(tmp_path):
    rows = [b"ID,Label,Duration,Path", b'"S-\n1",real,1.5,a', b"S-2,real,1.5,a"]
    (tmp_path / "p.csv").write_bytes(b"\n".join([*rows, b"S-\xe9,real,1.5,a", b""]))
    with pytest.raises(UserError, match="line 5, is not UTF-8 text"):
        open_table(tmp_path / "p.csv")


def test_the_label_file_of_a_row_is_resolved_and_need_not_be_there(write_protocol):
    columns = (*COLUMNS, "Segments")
    rows = [{"Segments": "$ROOT/labels.rttm"}, {"Segments": "-"}, {"Segments": "/else/a.txt"}]
    table = ProtocolTable.open(write_protocol(rows, columns=columns), data_folder="/data")
    assert [table.row(i).segments for i in range(3)] == ["/data/labels.rttm", "", "/else/a.txt"]
    plain = ProtocolTable.open(write_protocol([{}], name="q.csv"), data_folder="/data")
    assert not plain.has_segments and plain.row(0).segments == ""
