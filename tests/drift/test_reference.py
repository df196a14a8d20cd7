"""The reference: how it is dealt, what it stores, and what it refuses to be compared with."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from support.drift_world import META, World

from dataio.schema import UserError
from drift import __version__
from drift.comparison import Request, compare
from drift.fitting import fit_with_null
from drift.reference import fit_reference, load_reference, save_reference

WORLD = World(12)


@pytest.fixture
def sample():
    return WORLD.draw(300, np.random.default_rng(0), name="r")


def test_a_third_fixes_the_scale_and_the_rest_is_compared(sample):
    reference = fit_reference(sample, seed=4)
    assert (reference.scale.rows, len(reference.sample)) == (100, 200)
    other = fit_reference(sample, seed=5)
    assert set(reference.sample.ids) != set(other.sample.ids)
    again = fit_reference(sample, seed=4)
    assert np.array_equal(again.scale.components, reference.scale.components)


def test_the_scale_is_that_of_the_rows_left_out(sample):
    reference = fit_reference(sample, seed=4)
    apart = sample.embeddings[~np.isin(sample.ids, reference.sample.ids)].astype(np.float64)
    assert np.allclose(reference.scale.mean, apart.mean(0), atol=1e-5)
    assert np.allclose(reference.scale.deviation, apart.std(0, ddof=1), rtol=1e-5)
    standard = (apart - apart.mean(0)) / apart.std(0, ddof=1)
    assert np.allclose(reference.scale.edges[15], np.median(standard, axis=0), atol=1e-5)
    assert np.allclose(
        reference.scale.components @ reference.scale.components.T, np.eye(12), atol=1e-5
    )
    assert np.allclose(
        reference.scale.component_variance, np.linalg.eigvalsh(np.cov(standard.T))[::-1], rtol=1e-4
    )


def test_the_scale_part_is_capped():
    reference = fit_reference(WORLD.draw(7_000, np.random.default_rng(0)))
    assert (reference.scale.rows, len(reference.sample)) == (2_000, 5_000)


def test_groups_stay_whole(sample):
    speakers = np.array([f"s{i // 10}" for i in range(300)])
    grouped = replace(sample, columns={"Speaker": speakers})
    reference = fit_reference(grouped, seed=1, group="Speaker")
    compared = set(reference.groups)
    assert all((reference.groups == speaker).sum() == 10 for speaker in compared)
    assert len(compared) == 20


def test_a_saved_reference_comes_back_the_same_and_gives_the_same_comparison(sample, tmp_path):
    reference = fit_with_null(sample, seed=3)
    save_reference(reference, tmp_path / "r.drift.npz")
    loaded = load_reference(tmp_path / "r.drift.npz")
    assert loaded.seed == 3 and loaded.sample.meta == META
    assert np.array_equal(loaded.null.quantiles, reference.null.quantiles)
    incoming = WORLD.draw(80, np.random.default_rng(1), name="i")
    request = Request(draws=40, distances=("w1", "frechet", "kl"))
    before, after = (compare(r, incoming, request).results for r in (reference, loaded))
    assert [result.value for result in before] == [result.value for result in after]
    assert [result.null for result in before] == [result.null for result in after]
    assert not list(tmp_path.glob("*.tmp"))


def test_the_file_holds_no_pickle_and_says_what_it_is(sample, tmp_path):
    save_reference(fit_reference(sample), tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind in "fiuU" for name in archive.files)
        header = json.loads(str(archive["header"]))
    assert header["version"] == 1 and header["toolkit_version"] == __version__
    assert header["meta"]["checkpoint_sha256"] == META["checkpoint_sha256"]


def test_the_version_is_that_of_the_project():
    from pathlib import Path

    project = Path(__file__).parents[2] / "pyproject.toml"
    assert f'version = "{__version__}"' in project.read_text()


def test_the_null_table_covers_the_sizes_the_reference_has_rows_for():
    reference = fit_with_null(WORLD.draw(1_200, np.random.default_rng(0)))
    assert reference.null.sizes[:, 1].tolist() == [100, 250]
    assert reference.null.names.tolist() == ["w1", "mmd", "score"]
    small, large = reference.null.quantiles[:, 0, 1]
    assert small > large > 0  # the bias falls with the size


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"checkpoint_sha256": "cd" * 32}, "checkpoint_sha256 'cdcd"),
        ({"model": "mms_300m"}, "model 'mms_300m'"),
        ({"layer": "12"}, "layer '12'"),
        ({"pooling": "max"}, "pooling 'max'"),
    ],
)
def test_embeddings_of_another_origin_are_refused(sample, change, named):
    reference = fit_reference(sample)
    incoming = replace(WORLD.draw(40, np.random.default_rng(1)), meta={**META, **change})
    with pytest.raises(UserError) as refusal:
        compare(reference, incoming, Request())
    assert named in str(refusal.value) and "same checkpoint" in str(refusal.value)


def test_embeddings_without_provenance_are_refused_by_a_reference_that_has_one(sample):
    incoming = replace(WORLD.draw(40, np.random.default_rng(1)), meta={})
    with pytest.raises(UserError, match="model None"):
        fit_reference(sample).check(incoming)


def test_where_neither_side_has_provenance_that_is_noted(sample):
    incoming = replace(WORLD.draw(40, np.random.default_rng(1)), meta={})
    notes = fit_reference(replace(sample, meta={})).check(incoming)
    assert len(notes) == 1 and "neither side says which checkpoint" in notes[0]
    assert fit_reference(sample).check(replace(incoming, meta=META)) == []


def test_scores_are_not_held_against_embeddings(sample):
    scores = replace(sample, embeddings=np.empty((300, 0), np.float32), name="s.csv")
    with pytest.raises(UserError, match="s.csv holds scores only"):
        fit_reference(sample).check(scores)
    with pytest.raises(UserError, match="s.csv holds scores only"):
        fit_reference(scores).check(sample)


def test_another_dimension_is_refused(sample):
    with pytest.raises(UserError, match="11 dimensions and the reference 12"):
        fit_reference(sample).check(World(11).draw(40, np.random.default_rng(1)))


def test_another_engine_or_precision_is_noted(sample):
    incoming = WORLD.draw(40, np.random.default_rng(1))
    incoming = replace(incoming, meta={**META, "precision": "bf16"})
    assert fit_reference(sample).check(incoming) == [
        "precision differs: reference fp32, incoming bf16"
    ]


def test_too_few_rows_are_refused_with_the_number_needed(sample):
    with pytest.raises(UserError, match="at least 30 rows"):
        fit_reference(sample.take(np.arange(25)))
    with pytest.raises(UserError, match="leaves 0 rows"):
        fit_reference(sample.take(np.arange(0)))


def test_another_version_and_another_file_are_refused(sample, tmp_path):
    path = tmp_path / "r.npz"
    save_reference(fit_reference(sample), path)
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"])) | {"version": 2}
    np.savez(path, **{**arrays, "header": np.array(json.dumps(header))})
    with pytest.raises(UserError, match="version 2, this toolkit reads"):
        load_reference(path)
    whole = {**arrays, "header": np.array(json.dumps(header | {"version": 1}))}
    for name in ("scale_edges", "ids", "null_sizes"):
        np.savez(path, **{key: array for key, array in whole.items() if key != name})
        with pytest.raises(UserError, match=f"no array '{name}'"):
            load_reference(path)
    np.savez(path, **{**whole, "scale_mean": np.ones(5, np.float32)})
    with pytest.raises(UserError, match="damaged .its 'scale_mean' has the shape .5,."):
        load_reference(path)
    np.savez(path, header=np.array("[1]"))
    with pytest.raises(UserError, match="is not a drift reference"):
        load_reference(path)
    np.savez(path, embeddings=np.ones((3, 2)))
    with pytest.raises(UserError, match="is not a drift reference"):
        load_reference(path)
    np.save(tmp_path / "r.npy", np.ones((3, 2)))
    with pytest.raises(UserError, match="is not a drift reference"):
        load_reference(tmp_path / "r.npy")
    with pytest.raises(UserError, match="is a folder"):
        save_reference(fit_reference(sample), tmp_path)
    path.write_bytes(b"PK")
    with pytest.raises(UserError, match="is not a drift reference"):
        load_reference(path)
    with pytest.raises(UserError, match="does not exist"):
        load_reference(tmp_path / "absent.npz")


def test_a_reference_with_objects_is_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (zipfile.Path, ("sprung",))

    trapped = np.empty(1, dtype=object)
    trapped[0] = Trap()
    np.savez(tmp_path / "r.npz", header=trapped)
    with pytest.raises(UserError, match="never unpickled"):
        load_reference(tmp_path / "r.npz")
