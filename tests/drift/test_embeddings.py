"""Reading embeddings: every kind of file, subsamples, and what is refused by name."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.drift_world import META, World

from dataio.schema import UserError
from drift import embedding_files as module
from drift.embedding_files import read_embeddings
from drift.embeddings import embedding_set

ROWS = np.arange(60, dtype=np.float32).reshape(20, 3)
IDS = np.array([f"u-{i}" for i in range(20)])


def write_npz(path, **changes):
    arrays = {
        "ids": IDS,
        "labels": np.arange(20) % 2,
        "logits": np.stack([np.zeros(20), np.arange(20.0)], 1).astype(np.float32),
        "embeddings": ROWS,
        "meta": np.array(json.dumps(META)),
        **changes,
    }
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def test_analysis_output_is_read_with_everything_it_knows(tmp_path):
    sample = read_embeddings(write_npz(tmp_path / "a.npz"))
    assert np.array_equal(sample.embeddings, ROWS) and sample.embeddings.dtype == np.float32
    assert sample.ids.tolist() == IDS.tolist() and sample.meta == META
    assert np.array_equal(sample.score, np.arange(20)) and sample.labels[3] == 1
    assert sample.predicted_real.all() and sample.total_rows == 20


def test_plain_arrays_are_read_with_row_numbers_as_ids(tmp_path):
    np.save(tmp_path / "a.npy", ROWS.astype(np.float64))
    np.savez_compressed(tmp_path / "a.npz", vectors=ROWS)
    for name in ("a.npy", "a.npz"):
        sample = read_embeddings(tmp_path / name)
        assert np.array_equal(sample.embeddings, ROWS)
        assert sample.ids[7] == "row-0000007" and sample.logits is None


def test_parquet_is_read_as_a_list_column_or_as_plain_columns(tmp_path):
    listed = pa.table(
        {
            "ID": IDS,
            "embedding": pa.array(list(ROWS)),
            "logits": pa.array([[0.0, float(i)] for i in range(20)]),
            "Language": ["EN", "FR"] * 10,
        }
    ).replace_schema_metadata({"meta": json.dumps(META)})
    pq.write_table(listed, tmp_path / "list.parquet", row_group_size=7)
    pq.write_table(
        pa.table({"id": IDS, **{f"d{i}": ROWS[:, i] for i in range(3)}}), tmp_path / "flat.parquet"
    )
    sample = read_embeddings(tmp_path / "list.parquet")
    assert np.array_equal(sample.embeddings, ROWS) and sample.meta == META
    assert sample.columns["Language"][:2].tolist() == ["EN", "FR"] and sample.score[5] == 5
    flat = read_embeddings(tmp_path / "flat.parquet")
    assert np.array_equal(flat.embeddings, ROWS) and flat.ids[3] == "u-3"


def test_numbered_columns_are_the_dimensions_in_order_and_other_numbers_are_not(tmp_path):
    backwards = {f"d{i}": ROWS[:, i] for i in (2, 0, 1)}
    flat = {"duration": np.linspace(1, 9, 20), "ID": IDS, **backwards}
    pq.write_table(pa.table(flat), tmp_path / "flat.parquet")
    sample = read_embeddings(tmp_path / "flat.parquet")
    assert np.array_equal(sample.embeddings, ROWS)
    assert sample.columns["duration"][0] == "1.0"


def test_nulls_in_parquet_are_unknown_labels_and_words(tmp_path):
    words = {"Label": pa.array([None, 1] * 10, pa.int8()), "Attack": [None, "A1"] * 10}
    pq.write_table(pa.table({"embedding": list(ROWS), **words}), tmp_path / "a.parquet")
    sample = read_embeddings(tmp_path / "a.parquet")
    assert sample.labels[:2].tolist() == [-1, 1]
    assert sample.columns["Attack"][:2].tolist() == ["-", "A1"]


@pytest.mark.parametrize("kind", ["npz", "npy", "parquet", "csv"])
def test_a_file_without_rows_is_a_set_without_rows(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    if kind == "npz":
        np.savez(path, embeddings=ROWS[:0], logits=np.empty((0, 2)), labels=np.empty(0, int))
    elif kind == "npy":
        np.save(path, ROWS[:0])
    elif kind == "parquet":
        pq.write_table(pa.table({"embedding": pa.array([], pa.list_(pa.float32()))}), path)
    else:
        path.write_text("ID,Score,Label\n")
    assert len(read_embeddings(path)) == 0


def test_score_csv_is_read_without_embeddings_and_with_what_its_sidecar_says(tmp_path):
    text = 'ID,Score,Label\na,"[1.5, -1.0]",0\nb,"[-2.0, 2.5]",1\n'
    (tmp_path / "s.csv").write_text(text)
    sample = read_embeddings(tmp_path / "s.csv")
    assert sample.dimensions == 0 and sample.score.tolist() == [-2.5, 4.5] and sample.meta == {}
    (tmp_path / "s.meta.json").write_text(json.dumps(META))
    assert read_embeddings(tmp_path / "s.csv").meta == META


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet"])
def test_subsample_is_seeded_in_file_order_and_counted(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_BYTES", 60)  # five rows a block
    path = tmp_path / f"a.{kind}"
    if kind == "npy":
        np.save(path, ROWS)
    elif kind == "npz":
        write_npz(path)
    else:
        pq.write_table(pa.table({"embedding": pa.array(list(ROWS))}), path)
    first, again, other = (
        read_embeddings(path, max_rows=8, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert len(first) == 8 and first.total_rows == 20
    rows = (first.embeddings[:, 0] / 3).astype(int)
    assert (np.diff(rows) > 0).all() and np.array_equal(first.embeddings, ROWS[rows])
    assert np.array_equal(first.embeddings, again.embeddings)
    assert not np.array_equal(first.embeddings, other.embeddings)


def broken(**changes):
    return lambda folder: write_npz(folder / "x.npz", **changes)


def with_nan(folder):
    rows = ROWS.copy()
    rows[13, 1] = np.nan
    return write_npz(folder / "x.npz", embeddings=rows)


def pickled(folder):
    np.save(folder / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return folder / "x.npy"


def pickled_ids(folder):
    np.savez(folder / "x.npz", embeddings=ROWS, ids=IDS.astype(object))
    return folder / "x.npz"


def truncated(folder):
    np.save(folder / "x.npy", ROWS)
    data = (folder / "x.npy").read_bytes()
    (folder / "x.npy").write_bytes(data[:-20])
    return folder / "x.npy"


def not_a_zip(folder):
    (folder / "x.npz").write_text("hello")
    return folder / "x.npz"


def no_array(folder):
    with zipfile.ZipFile(folder / "x.npz", "w") as archive:
        archive.writestr("a.txt", "hello")
    return folder / "x.npz"


def parquet(**columns):
    def make(folder):
        pq.write_table(pa.table(columns), folder / "x.parquet")
        return folder / "x.parquet"

    return make


def lists(**changes):
    """20 lists of 3 numbers, but for the rows given as r0=..., r1=..."""
    rows = ROWS.tolist()
    for name, changed in changes.items():
        rows[int(name[1:])] = changed
    return parquet(embedding=rows)


def numbered(*names):
    return parquet(**{name: ROWS[:, 0] for name in names})


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (with_nan, "row 13"),
        (broken(labels=np.array(["real"] * 20)), "the label of ID 'u-0' in x.npz is 'real'"),
        (broken(labels=np.arange(20) % 2 + 1), "'u-1' in x.npz is 2: expected 1 (real)"),
        (broken(labels=np.zeros((20, 2), int)), "the label of ID 'u-0'"),
        (broken(meta=np.array("[1, 2]")), "'meta' is a list"),
        (broken(meta=np.array("words")), "'meta' is not JSON"),
        (broken(labels=np.array(1)), "labels' of x.npz: no entries for 20"),
        (broken(ids=np.stack([IDS, IDS], 1)), "ids of x.npz have shape (20, 2)"),
        (broken(embeddings=ROWS[:, :0], logits=None), "neither embeddings nor scores"),
        (no_array, "no array 'embeddings'"),
        (lists(r0=[0.0] * 4, r1=[0.0] * 2), "row 1 has 2 numbers in column 'embedding'"),
        (lists(r7=None), "row 7 has no list in column 'embedding'"),
        (lists(r7=[0.0, None, 1.0]), "row 7 has a non-finite"),
        (parquet(embedding=["a"] * 20), "of type string: expected lists of numbers"),
        (parquet(embedding=ROWS.tolist(), logits=[[0.0, 1.0]] * 19 + [None]), "row 19 has no"),
        (parquet(embedding=ROWS.tolist(), ID=[None, *IDS[1:]]), "row 0 has no ID"),
        (numbered("d0", "d1", "f0"), "column 'f0' may be a dimension or not"),
        (numbered("d1", "d2", "d4"), "'d4' comes where d3 is expected"),
        (numbered("energy", "duration"), "nor numbered ones"),
        (broken(ids=np.array(["u-0"] * 2 + [f"u-{i}" for i in range(2, 20)])), "'u-0' 2 times"),
        (broken(labels=np.zeros(7, int)), "7 entries for 20"),
        (broken(logits=np.zeros((20, 3), np.float32)), "(20, 3)"),
        (broken(logits=np.full((20, 2), np.inf, np.float32)), "non-finite logits"),
        (broken(embeddings=None, other=None), "no array 'embeddings'"),
        (broken(embeddings=ROWS[:, :, None]), "shape (20, 3, 1)"),
        (pickled, "never unpickled"),
        (pickled_ids, "never unpickled"),
        (truncated, "does not fit its"),
        (not_a_zip, "x.npz cannot be read"),
        (lambda folder: folder / "absent.npz", "does not exist"),
        (lambda folder: folder / "x.wav", "is not an embedding file"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path, make, named):
    path = make(tmp_path)
    with pytest.raises(UserError) as refusal:
        read_embeddings(path)
    assert named in str(refusal.value)


def test_a_list_of_another_length_is_named_also_far_down_a_file(tmp_path):
    lists = [[0.0, 1.0, 2.0]] * 9_000 + [[0.0, 1.0]] * 1_000
    pq.write_table(pa.table({"embedding": lists}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="row 9000 has 2 numbers in column 'embedding', row 0 has"):
        read_embeddings(tmp_path / "a.parquet")
    pq.write_table(pa.table({"embedding": lists[:8_192] + lists[-1:]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="row 8192 has 2 numbers"):
        read_embeddings(tmp_path / "a.parquet")


def test_rows_beyond_the_subsample_are_checked_too(tmp_path):
    with pytest.raises(UserError, match="row 13"):
        read_embeddings(with_nan(tmp_path), max_rows=2, rng=np.random.default_rng(0))


def test_take_keeps_rows_together():
    sample = World(4).draw(30, np.random.default_rng(0))
    part = sample.take(sample.labels == 1)
    assert (part.labels == 1).all() and (part.columns["Attack"] == "-").all()
    assert len(part) == len(part.ids) == len(part.logits)


def test_unknown_column_is_refused_with_the_known_ones():
    sample = World(4).draw(30, np.random.default_rng(0))
    with pytest.raises(UserError, match="no column 'Speaker' .known: Attack."):
        sample.column("Speaker")


def test_arrays_of_words_are_no_embeddings():
    with pytest.raises(UserError, match="expected numbers"):
        embedding_set(np.array([["a", "b"]]))
