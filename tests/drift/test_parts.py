"""Slices, predicted classes, signal conditions, ranking: what happened where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from support.drift_world import World

from dataio.schema import UserError
from drift.classes import compare_classes
from drift.columns import read_columns, with_columns
from drift.comparison import Request, compare
from drift.conditions import compare_conditions, with_loudness
from drift.ranking import rank_files
from drift.reference import fit_reference, load_reference, save_reference
from drift.slices import compare_slices
from drift.subsets import Plan, equal_error_rate, run_plan, thin_reference
from metrics.rates import eer

WORLD = World(12)
PLAN = Plan(draws=59)


@pytest.fixture(scope="module")
def reference():
    return fit_reference(WORLD.draw(1_200, np.random.default_rng(1), name="r"))


def with_column(reference, name, value):
    """The reference with the same word in every row."""
    cells = np.full(len(reference.sample), value)
    columns = {**reference.sample.columns, name: cells}
    return replace(reference, sample=replace(reference.sample, columns=columns))


def test_only_the_new_attack_alarms_and_is_held_against_everything(reference):
    incoming = WORLD.draw(300, np.random.default_rng(1), name="i", new_share=0.3)
    parts = {part.name: part for part in compare_slices(PLAN, reference, incoming, "Attack")}
    assert parts["new_tts"].status == "alarm"
    assert parts["new_tts"].against == "all of the reference: new value"
    assert parts["A01"].status == parts["-"].status == "ok"
    assert parts["A01"].against == "Attack A01"
    assert parts["A01"].adjusted_p >= parts["A01"].p
    low, high = parts["new_tts"].interval
    assert 0 < low < parts["new_tts"].results[0].effect < high
    low, high = parts["A01"].interval
    assert low < 0 < high


def test_a_small_slice_is_insufficient_and_leaves_the_others_alone(reference):
    incoming = WORLD.draw(200, np.random.default_rng(1), name="i")
    languages = np.array(["EN"] * 190 + ["FR"] * 10)
    incoming = replace(incoming, columns={"Language": languages})
    reference = with_column(reference, "Language", "EN")
    parts = {part.name: part for part in compare_slices(PLAN, reference, incoming, "Language")}
    assert parts["FR"].status == "insufficient" and np.isnan(parts["FR"].adjusted_p)
    assert parts["EN"].adjusted_p == parts["EN"].p


def test_slices_by_a_column_the_reference_lacks_are_refused(reference):
    incoming = WORLD.draw(60, np.random.default_rng(1), name="i")
    incoming = replace(incoming, columns={"Language": np.full(60, "EN")})
    with pytest.raises(UserError, match="without the column 'Language'.*--by Language"):
        compare(reference, incoming, Request(by=("Language",)))


def test_a_value_the_reference_hardly_knows_is_insufficient_and_says_why():
    """Held against all of the reference, an attack would alarm for being that attack."""
    sample = WORLD.draw(300, np.random.default_rng(3), name="r", new_share=0.06)
    reference = fit_reference(sample)
    known = int((reference.sample.columns["Attack"] == "new_tts").sum())
    incoming = WORLD.draw(200, np.random.default_rng(4), name="i", new_share=0.3)
    parts = {part.name: part for part in compare_slices(PLAN, reference, incoming, "Attack")}
    assert 0 < known < 20 and parts["new_tts"].status == "insufficient"
    assert parts["new_tts"].against == f"only {known} reference rows of it"
    assert parts["A01"].status == "ok"


def test_a_value_whose_rows_all_fixed_the_scale_is_not_new(tmp_path):
    rng = np.random.default_rng(6)
    sample = WORLD.draw(600, rng, name="r")
    speakers = np.array([f"s{row // 30:02d}" for row in range(600)])
    sample = replace(sample, columns={"Speaker": speakers})
    save_reference(fit_reference(sample, group="Speaker"), tmp_path / "r.drift.npz")
    reference = load_reference(tmp_path / "r.drift.npz")
    gone = reference.scale_only["Speaker"]
    assert len(gone) == 7 and not np.isin(gone, reference.groups).any()
    incoming = WORLD.draw(60, rng, name="i")
    incoming = replace(incoming, columns={"Speaker": np.repeat([gone[0], "unheard"], 30)})
    reference = replace(reference, group=None)
    parts = {part.name: part for part in compare_slices(PLAN, reference, incoming, "Speaker")}
    assert parts[gone[0]].status == "insufficient"
    assert parts[gone[0]].against == "all reference rows of it fixed the scale"
    assert parts["unheard"].against == "all of the reference: new value"


def test_one_drifted_slice_among_many_is_found(reference):
    rng = np.random.default_rng(2)
    incoming = WORLD.draw(40 * 25, rng, name="i")
    names = np.repeat([f"s{i:02d}" for i in range(40)], 25)
    embeddings = incoming.embeddings.copy()
    embeddings[names == "s07"] += 3 * WORLD.scales
    incoming = replace(incoming, embeddings=embeddings, columns={"Speaker": names})
    plan = Plan(distances=("mmd",), draws=59)
    parts = compare_slices(plan, with_column(reference, "Speaker", "r"), incoming, "Speaker")
    assert [part.name for part in parts if part.status == "alarm"] == ["s07"]


def test_the_interval_of_a_slice_covers_the_effect_it_is_drawn_around():
    """Every value moved by one deviation. The effect is W1 less the null's median; what it comes to
    at these sizes is its mean over many references and slices."""
    found = []
    for trial in range(40):
        rng = np.random.default_rng([3, trial])
        sample = replace(rng_set(rng, 300, 0.0), columns={"Kind": np.full(300, "a")})
        incoming = replace(rng_set(rng, 150, 1.0), columns={"Kind": np.full(150, "a")})
        plan = Plan(distances=("w1",), draws=39)
        (part,) = compare_slices(plan, fit_reference(sample, seed=trial), incoming, "Kind")
        low, high = part.interval
        assert (low + high) / 2 == pytest.approx(part.results[0].effect)
        found.append((low, part.results[0].effect, high))
    low, effect, high = np.array(found).T
    assert 0.5 < effect.mean() < 1.1
    assert ((low <= effect.mean()) & (effect.mean() <= high)).mean() >= 0.85


def rng_set(rng, rows, shift):
    from drift.embeddings import embedding_set

    return embedding_set(rng.standard_normal((rows, 5)) + shift)


def test_a_thinned_reference_keeps_enough_rows_and_whole_groups():
    sample = WORLD.draw(6_000, np.random.default_rng(0), name="r")
    speakers = np.array([f"s{i // 30}" for i in range(6_000)])
    sample = replace(sample, columns={"Speaker": speakers})
    incoming = sample.take(np.arange(300))
    plain = thin_reference(fit_reference(sample), incoming)
    assert len(plain.sample) == 1_200
    reference = fit_reference(sample, group="Speaker")
    grouped = thin_reference(reference, incoming)
    assert len(grouped.sample) == 1_200
    assert set(np.unique(grouped.groups, return_counts=True)[1]) == {30}
    # of speakers met with one row each, one row of 30 will count
    single = replace(incoming, columns={"Speaker": incoming.ids})
    assert len(thin_reference(reference, single).sample) == len(reference.sample)


def test_eer_of_a_slice_of_one_class_takes_the_other_class_from_the_whole():
    sample = WORLD.draw(300, np.random.default_rng(4), new_share=0.3)
    fakes = sample.take(sample.columns["Attack"] == "new_tts")
    rows = (sample.labels == 1) | (sample.columns["Attack"] == "new_tts")
    known = eer(sample.score[rows], sample.labels[rows]).rate
    assert equal_error_rate(fakes, sample) == known > 0.05
    assert np.isnan(equal_error_rate(fakes))


def test_a_change_of_mix_alone_is_told_apart_from_changed_utterances(reference):
    mixed = WORLD.draw(400, np.random.default_rng(5), name="i", real_share=0.85)
    classes = compare_classes(PLAN, reference, mixed)
    assert classes.mix_p <= 0.05 and {part.status for part in classes.parts} <= {"ok", "warn"}
    assert classes.reading.startswith("only the mix")
    results, p = run_plan(PLAN, reference, mixed)
    assert p <= 0.05 and {r.name: r.status for r in results}["w1"] == "alarm"
    moved = WORLD.draw(400, np.random.default_rng(6), name="i", shift=0.5)
    classes = compare_classes(PLAN, reference, moved)
    assert classes.mix_p > 0.05 and {part.status for part in classes.parts} == {"alarm"}
    assert classes.reading.startswith("utterances changed")
    same = WORLD.draw(400, np.random.default_rng(7), name="i")
    assert compare_classes(PLAN, reference, same).reading.startswith("neither")


def test_a_class_too_small_to_be_judged_is_not_said_to_be_unchanged(reference):
    mixed = WORLD.draw(150, np.random.default_rng(5), name="i", real_share=0.95)
    reading = compare_classes(PLAN, reference, mixed).reading
    assert reading == (
        "the mix of predicted real and fake changed; what is inside them could not be judged "
        "(too few rows: predicted fake)"
    )
    few = WORLD.draw(15, np.random.default_rng(5), name="i")
    assert compare_classes(PLAN, reference, few).reading.startswith("neither the mix nor what")


def test_predicted_classes_need_logits(reference):
    incoming = replace(WORLD.draw(50, np.random.default_rng(7)), logits=None)
    assert compare_classes(PLAN, reference, incoming) is None


def with_signal(sample, duration, rate, codec):
    rows = len(sample)
    cells = {"Duration": duration.astype(str), "SampleRate": np.full(rows, rate)}
    return replace(sample, columns={**cells, "AudioEncoding": codec})


def test_signal_conditions_show_which_property_moved():
    rng = np.random.default_rng(8)
    codec = np.array(["PCM_S", "MP3"])
    ours = WORLD.draw(300, rng, name="r")
    ours = with_signal(ours, rng.gamma(4, 1, 300), "16000", rng.choice(codec, 300))
    theirs = WORLD.draw(100, rng, name="i")
    theirs = with_signal(theirs, rng.gamma(4, 1, 100), "16000", np.full(100, "OPUS"))
    found = {c.name: c for c in compare_conditions(fit_reference(ours), theirs, draws=99, seed=0)}
    assert set(found) == {"duration", "sampling rate", "codec"}
    assert found["duration"].p > 0.05 and found["sampling rate"].p == 1.0
    assert found["codec"].p == 0.01 and found["codec"].distance == 1.0
    assert found["codec"].incoming == "OPUS 100 %"
    assert found["duration"].reference.startswith("median 3.")


def test_loudness_is_measured_in_dbfs_of_a_sample_of_files(tmp_path):
    time = np.arange(8_000) / 16_000
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 16_000)
    sample = WORLD.draw(250, np.random.default_rng(0))
    sample = replace(sample, columns={"Path": np.full(250, "$ROOT/a.wav")})
    cells = with_loudness(sample, str(tmp_path), np.random.default_rng(0)).columns["Loudness"]
    known = cells[cells != "-"].astype(float)
    assert len(known) == 200
    assert known == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.02)
    with pytest.raises(UserError, match="is --data_folder right"):
        with_loudness(sample, str(tmp_path / "elsewhere"), np.random.default_rng(0))


def write_protocol(path, ids, **columns):
    names = ["ID", *columns]
    lines = [",".join(names)]
    lines += [",".join([i, *(column[k] for column in columns.values())]) for k, i in enumerate(ids)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_columns_are_joined_by_id_from_several_protocols(tmp_path):
    first = write_protocol(tmp_path / "a.csv", ["x", "y"], Attack=["A1", ""])
    second = write_protocol(tmp_path / "b.csv", ["q", "z"], Attack=["A9", "A3"])
    taken = read_columns([first, second], np.array(["z", "x", "y"]), ["Attack"])
    assert taken["Attack"].tolist() == ["A3", "A1", "-"]


@pytest.mark.parametrize(
    ("ids", "column", "named"),
    [
        (["x", "y"], "Attack", "1 of 3 embeddings have no row"),
        (["x", "y", "z", "y"], "Attack", "line 5: ID 'y' occurs twice"),
        (["x", "y", "z"], "Date", "has no column 'Date'"),
        (["x", "y", "z,A"], "Attack", "line 4: not the header's"),
    ],
)
def test_a_protocol_that_does_not_fit_is_refused(tmp_path, ids, column, named):
    path = write_protocol(tmp_path / "a.csv", ids, Attack=["A"] * len(ids))
    with pytest.raises(UserError, match=named):
        read_columns([path], np.array(["x", "y", "z"]), [column])


def test_signal_columns_come_along_only_where_a_protocol_has_them(tmp_path):
    (tmp_path / "a.csv").write_text("ID,Attack\nx,A1\ny,A2\n")
    taken = read_columns([tmp_path / "a.csv"], np.array(["x", "y"]), ["Attack"], ["Duration"])
    assert taken.keys() == {"Attack"}
    (tmp_path / "b.csv").write_text("ID,Duration\ny,2.5\n")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    taken = read_columns(paths, np.array(["x", "y"]), ["Attack"], ["Duration"])
    assert taken["Attack"].tolist() == ["A1", "A2"] and taken["Duration"].tolist() == ["-", "2.5"]
    with pytest.raises(UserError, match="1 of 2 embeddings have no cell of column 'Duration'"):
        read_columns(paths, np.array(["x", "y"]), ["Duration"])


def test_protocols_that_disagree_on_a_cell_are_refused(tmp_path):
    for name, attack in (("a", "A1"), ("b", "A1"), ("c", "A2")):
        (tmp_path / f"{name}.csv").write_text(f"ID,Attack\nx,{attack}\n")
    paths = [tmp_path / f"{name}.csv" for name in "abc"]
    assert read_columns(paths[:2], np.array(["x"]), ["Attack"])["Attack"].tolist() == ["A1"]
    with pytest.raises(UserError, match="c.csv, line 2: Attack of ID 'x' is 'A2', an earlier"):
        read_columns(paths, np.array(["x"]), ["Attack"])


def test_a_column_of_the_embedding_file_need_not_be_in_the_protocol(tmp_path):
    sample = WORLD.draw(2, np.random.default_rng(0), name="i")
    (tmp_path / "a.csv").write_text("ID,Language\ni-00000,EN\ni-00001,FR\n")
    joined = with_columns(sample, [tmp_path / "a.csv"], ["Attack", "Language"])
    assert joined.columns["Language"].tolist() == ["EN", "FR"]
    assert joined.columns["Attack"].tolist() == sample.columns["Attack"].tolist()


def test_missing_ids_are_named(tmp_path):
    path = write_protocol(tmp_path / "a.csv", ["x"], Attack=["A"])
    with pytest.raises(UserError, match="'p', 'q', 'r' and 1 more"):
        read_columns([path], np.array(["x", "p", "q", "r", "s"]), ["Attack"])


def test_without_a_protocol_the_columns_of_the_file_remain():
    sample = WORLD.draw(30, np.random.default_rng(0))
    assert with_columns(sample, [], ["Attack"]) is sample


def test_the_files_farthest_from_the_reference_lead(reference):
    incoming = WORLD.draw(100, np.random.default_rng(9), name="i")
    embeddings = incoming.embeddings.copy()
    for place, row in enumerate((41, 7, 90)):
        embeddings[row] += (30 - 5 * place) * WORLD.scales
    files = rank_files(reference, replace(incoming, embeddings=embeddings), top=5)
    assert [file.id for file in files[:3]] == ["i-00041", "i-00007", "i-00090"]
    assert files[0].ratio > 5 and files[0].p == 1 / 801 and files[0].q <= 0.05
    assert files[4].q > 0.05
    assert len(rank_files(reference, incoming, top=500)) == 100


def test_p_values_of_unchanged_files_are_uniform(reference):
    incoming = WORLD.draw(2_000, np.random.default_rng(10), name="i")
    p = np.array([file.p for file in rank_files(reference, incoming, top=2_000)])
    assert abs((p <= 0.1).mean() - 0.1) < 0.04 and abs(p.mean() - 0.5) < 0.04


def test_alpha_is_shared_out_among_the_families(reference):
    request = Request(by=("Attack",), window="50")
    assert request.families == 3 and request.family_alpha == pytest.approx(0.05 / 3)
    incoming = WORLD.draw(150, np.random.default_rng(11), name="i")
    found = compare(reference, incoming, request)
    assert found.status == "ok" and found.windows is not None and found.slices["Attack"]


def test_a_drifted_slice_alone_raises_the_status():
    """3 % of what arrives moved: too few for the whole to show it, enough for their own slice."""
    reference = fit_reference(WORLD.draw(600, np.random.default_rng(0), name="r"))
    reference = with_column(reference, "Source", "old")
    incoming = WORLD.draw(1_000, np.random.default_rng(20), name="i")
    embeddings, names = incoming.embeddings.copy(), np.full(1_000, "old")
    names[:30] = "new"
    embeddings[:30] += 0.6 * WORLD.scales
    incoming = replace(incoming, embeddings=embeddings, columns={"Source": names})
    found = compare(reference, incoming, Request(by=("Source",), distances=("mmd",)))
    status = {part.name: part.status for part in found.slices["Source"]}
    assert (found.p > 0.05, status) == (True, {"new": "alarm", "old": "ok"})
    assert found.status == "alarm"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"distances": ("wasserstein",)}, "no distance 'wasserstein'"),
        ({"alpha": 0.7}, "alpha 0.7"),
        ({"draws": 10}, "at least 20"),
        ({"draws": 30, "by": ("Attack",)}, "at least 40"),
    ],
)
def test_an_impossible_request_is_refused(settings, named):
    with pytest.raises(UserError, match=named):
        Request(**settings)
