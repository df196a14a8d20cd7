"""What arrives at the edges: far values, rows met twice, dimensions without spread."""

from dataclasses import replace

import numpy as np
import pytest
from support.drift_world import World

from dataio.schema import UserError
from drift.__main__ import main
from drift.comparison import Request, compare
from drift.distances import DISTANCES
from drift.embedding_files import read_embeddings
from drift.embeddings import embedding_set
from drift.outputs import headline
from drift.reference import fit_reference, save_reference

ALL = Request(distances=tuple(DISTANCES), draws=40)


@pytest.fixture(scope="module")
def sides():
    """A fitted reference and 80 new rows of the same world."""
    world = World(6)
    reference = fit_reference(world.draw(300, np.random.default_rng(0), name="r"))
    return reference, world.draw(80, np.random.default_rng(1), name="i")


@pytest.mark.parametrize("far", [1e6, 1e20, 1e30])
def test_far_embeddings_are_an_alarm_of_finite_distances(sides, far):
    reference, incoming = sides
    found = compare(reference, replace(incoming, embeddings=incoming.embeddings * far), ALL)
    assert found.status == "alarm" and found.p < 0.05
    assert all(np.isfinite([r.value, r.p]).all() for r in found.results if r.name != "score")


def test_embeddings_beyond_what_float32_can_sum_are_refused():
    with pytest.raises(UserError, match="row 0 .*non-finite"):
        embedding_set(np.full((30, 2), 1e35))


def test_rows_that_are_all_alike_on_both_sides_are_no_drift():
    rng = np.random.default_rng(0)
    for value in (0.0, 0.1, 1234.5):
        alike = [
            embedding_set(np.full((n, 64), value), ids=np.array([f"{k}-{i}" for i in range(n)]))
            for k, n in (("r", 331), ("i", 117))
        ]
        request = replace(ALL, distances=tuple(n for n in DISTANCES if n != "score"))
        found = compare(fit_reference(alike[0]), alike[1], request)
        assert found.status == "ok" and min(r.p for r in found.results) > 0.5
        assert any("are the same" in note for note in found.notes)
    other = embedding_set(rng.normal(size=(60, 64)), ids=np.array([f"x-{i}" for i in range(60)]))
    assert compare(fit_reference(alike[0]), other, request).status == "alarm"


def test_rows_of_the_reference_are_refused_with_their_count(sides):
    reference, incoming = sides
    mixed = np.concatenate([reference.sample.embeddings[:30], incoming.embeddings[:50]])
    request = Request(distances=["w1"], draws=40)
    with pytest.raises(UserError, match="30 of 80 rows .* are rows of the reference"):
        compare(reference, replace(incoming, embeddings=mixed), request)


def test_ids_of_the_reference_on_other_rows_are_noted(sides):
    reference, incoming = sides
    ids = np.concatenate([reference.sample.ids[:30], incoming.ids[:50]])
    found = compare(reference, replace(incoming, ids=ids), Request(distances=["w1"], draws=40))
    assert any("30 of 80 rows have IDs of the reference" in note for note in found.notes)


def test_scores_alone_of_the_same_files_are_refused(sides):
    none = np.empty((300, 0), np.float32)
    sample = replace(World(6).draw(300, np.random.default_rng(5), name="r"), embeddings=none)
    reference = fit_reference(sample)
    again = reference.sample.take(np.arange(40))
    with pytest.raises(UserError, match="40 of 40 rows .* are rows of the reference"):
        compare(reference, again, Request(distances=["score"], draws=40))
    other = replace(again, ids=np.array([f"x-{i}" for i in range(40)]))
    assert compare(reference, other, Request(distances=["score"], draws=40)).notes == []


def test_copies_among_what_arrives_are_refused_with_their_count_and_a_few_are_noted(sides):
    reference, incoming = sides
    request = Request(distances=["w1"], draws=40)
    twice = np.concatenate([incoming.embeddings[:40]] * 2)
    with pytest.raises(UserError, match="40 of 80 rows .* repeat the embedding of another"):
        compare(reference, replace(incoming, embeddings=twice), request)
    rows = World(6).draw(200, np.random.default_rng(2), name="n")
    rows.embeddings[7] = rows.embeddings[5]
    assert any("1 of 200 rows repeat" in n for n in compare(reference, rows, request).notes)


def test_a_reference_is_not_taken_for_embeddings(sides, tmp_path):
    save_reference(sides[0], tmp_path / "ref.drift.npz")
    with pytest.raises(UserError, match="it is a drift reference"):
        read_embeddings(tmp_path / "ref.drift.npz")


def test_a_dimension_of_almost_no_spread_does_not_move_w1_by_itself(sides):
    rng = np.random.default_rng(3)

    def with_dead(rows, level):
        dead = 5 + 1e-6 * rng.normal(size=(len(rows), 1)) + level
        return replace(rows, embeddings=np.hstack([rows.embeddings, dead]).astype(np.float32))

    world = World(6)
    reference = fit_reference(with_dead(world.draw(300, rng, name="r"), 0))
    incoming = with_dead(world.draw(100, rng, name="i"), 1e-4)
    found = compare(reference, incoming, Request(distances=["w1"], draws=40))
    dead = [d for d in found.results[0].details["top_dimensions"] if d["dimension"] == 6]
    assert all(d["value"] < 0.01 for d in dead) and found.status != "alarm"


def test_the_headline_names_the_family_that_alarmed_and_what_was_computed(sides):
    reference, incoming = sides
    moved = np.array(["new" if i < 30 else "old" for i in range(80)])
    embeddings = incoming.embeddings.copy()
    embeddings[:30] += 0.6 * incoming.embeddings.std(axis=0)
    sample = replace(reference.sample, columns={"Codec": np.array(["old"] * 200)})
    arrived = replace(incoming, embeddings=embeddings, logits=None, columns={"Codec": moved})
    found = compare(replace(reference, sample=sample), arrived, Request(by=["Codec"]))
    told = headline(replace(found, status="alarm", p=0.0199))
    assert "p = 0.0199 for the whole over w1, mmd (" in told
    assert "2 families share 0.05" in told and "by the whole" in told
    quiet = replace(found, status="alarm", p=0.5)
    assert " by slices of Codec: p = 0.5 for the whole" in headline(quiet)
    assert headline(compare(reference, incoming, Request())).startswith("OK: p = ")


def test_a_reader_that_has_seen_enough_is_no_mistake(sides, tmp_path, monkeypatch):
    def closed(*_, **__):
        raise BrokenPipeError

    np.savez(tmp_path / "e.npz", embeddings=World(3).draw(90, np.random.default_rng(4)).embeddings)
    monkeypatch.setattr("builtins.print", closed)
    assert main(["fit", str(tmp_path / "e.npz"), "--output", str(tmp_path / "r.npz")]) == 141
