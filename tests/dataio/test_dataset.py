"""Rows to batches: draws that depend on the row alone, bad files set aside, workers that end."""

import multiprocessing
import os
import signal

import numpy as np
import pytest
import soundfile
import torch

from dataio.audio import load_waveform
from dataio.batching import BatchPlan
from dataio.dataset import (
    BadFile,
    Item,
    WaveformDataset,
    centre_piece,
    check_crop,
    collate,
    draw_piece,
)
from dataio.loading import BatchLoader, LoaderError, batch_loader
from dataio.protocol import ProtocolTable
from dataio.schema import UserError

SECONDS = [0.01, 0.4, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def add_noise(waveform, rng):
    """An augmentation that shows its draws."""
    return waveform + rng.standard_normal(len(waveform)).astype(np.float32) * 0.1


@pytest.fixture
def table(write_audio, write_protocol, tmp_path):
    """Eight files of several kinds, then one that is missing, one empty, one of text."""
    kinds = [("wav", 16_000), ("flac", 44_100), ("mp3", 16_000), ("wav", 8000)]
    rows = []
    for number, seconds in enumerate(SECONDS):
        suffix, rate = kinds[number % 4]
        write_audio(f"a/{number}.{suffix}", seconds, rate, seed=number)
        label = ("real", "fake")[number % 2]
        rows.append({"Path": f"$ROOT/a/{number}.{suffix}", "Label": label, "Duration": seconds})
    (tmp_path / "a" / "empty.wav").touch()
    (tmp_path / "a" / "text.wav").write_text("no audio" * 50)
    rows += [{"Path": f"$ROOT/a/{name}.wav"} for name in ("missing", "empty", "text")]
    return ProtocolTable.open(write_protocol(rows), data_folder=tmp_path)


def training(table, **options):
    options = {"seed": 5, "crop_seconds": [1.0, 2.0], "augmentation": add_noise, **options}
    return WaveformDataset(table, mode="train", **options)


# --- pieces ------------------------------------------------------------------------------------


def test_a_file_up_to_the_upper_bound_is_taken_whole():
    rng = np.random.default_rng(0)
    assert draw_piece(13.0, (10, 13), rng) == (0.0, None)
    assert draw_piece(2.0, (10, 13), rng) == (0.0, None)


def test_pieces_are_uniform_in_length_and_place():
    rng = np.random.default_rng(0)
    draws = np.array([draw_piece(43.0, (10, 13), rng) for _ in range(4000)])
    starts, lengths = draws.T
    assert lengths.min() >= 10 and lengths.max() <= 13
    assert (starts + lengths).max() <= 43 and starts.min() >= 0
    assert lengths.mean() == pytest.approx(11.5, abs=0.05)
    assert starts.mean() == pytest.approx((43 - 11.5) / 2, abs=0.5)


def test_equal_bounds_fix_the_length():
    assert draw_piece(9.0, (4, 4), np.random.default_rng(0))[1] == 4


def test_the_centre_piece_is_in_the_middle():
    assert centre_piece(10.0, 4.0) == (3.0, 4.0)
    assert centre_piece(4.0, 4.0) == centre_piece(9.0, None) == (0.0, None)


@pytest.mark.parametrize("crop", [[13, 10], [0, 5], [10], 10 * [1], [-1, 3]])
def test_an_impossible_crop_is_refused(crop):
    with pytest.raises(UserError, match="train_crop_seconds"):
        check_crop(crop)


# --- items -------------------------------------------------------------------------------------


def test_validation_and_scoring_take_files_as_they_are(table, tmp_path):
    for mode in ("valid", "score"):
        item = WaveformDataset(table, mode=mode, augmentation=add_noise)[0, 7]
        assert item.id == "Set-7" and item.label == 0
        np.testing.assert_array_equal(item.waveform, load_waveform(tmp_path / "a" / "7.wav"))


def test_validation_takes_the_centre_of_long_files(table):
    dataset = WaveformDataset(table, mode="valid", max_valid_duration=2.0)
    whole = WaveformDataset(table, mode="valid")[0, 7].waveform  # 6 s
    np.testing.assert_allclose(dataset[0, 7].waveform, whole[32_000:64_000], atol=1e-6)
    assert len(dataset[0, 2].waveform) == 16_000


def test_the_length_is_the_headers_not_the_csvs(write_audio, write_protocol, tmp_path):
    write_audio("long.wav", 6.0)
    path = write_protocol([{"Path": "$ROOT/long.wav", "Duration": "0.5"}])
    item = training(ProtocolTable.open(path, data_folder=tmp_path))[0, 0]
    assert 16_000 <= len(item.waveform) <= 32_000


def test_a_file_shorter_than_the_receptive_field_is_padded_to_it(table):
    waveform = WaveformDataset(table, mode="score")[0, 0].waveform
    assert len(waveform) == 400 and np.abs(waveform[:160]).max() > 0 and not waveform[160:].any()


def test_training_draws_depend_on_seed_epoch_and_row_alone(table):
    one, other = training(table), training(table)
    other[0, 3], other[7, 7]  # what was asked before leaves no trace
    np.testing.assert_array_equal(one[2, 7].waveform, other[2, 7].waveform)
    draws = {
        training(table, seed=seed)[epoch, 7].waveform[:100].tobytes()
        for seed, epoch in ((5, 2), (5, 3), (6, 2))
    }
    assert len(draws) == 3


@pytest.mark.parametrize(
    "row, reason", [(8, "no such file"), (9, "empty"), (10, "neither libsndfile nor FFmpeg")]
)
def test_a_file_that_fails_is_named_and_does_not_raise(table, row, reason):
    bad = training(table)[0, row]
    assert isinstance(bad, BadFile)
    assert (bad.row, bad.id) == (row, f"Set-{row}") and bad.kind == "error"
    assert reason in bad.reason and os.path.basename(bad.path) in table.row(row).path


def test_scoring_goes_on_past_a_file_that_a_library_trips_over(table, monkeypatch):
    def trip(path, **_):
        raise ZeroDivisionError("of a library")

    monkeypatch.setattr("dataio.dataset.read_audio", trip)
    bad = WaveformDataset(table, mode="score")[0, 2]
    assert isinstance(bad, BadFile) and bad.path == table.row(2).path
    assert bad.reason == "it cannot be loaded (ZeroDivisionError: of a library)"
    with pytest.raises(ZeroDivisionError):
        training(table)[0, 2]


def test_a_part_of_a_batch_is_that_batch_of_its_rows(table):
    dataset = WaveformDataset(table, mode="score")
    part, alone = dataset.load(0, [4, 8, 0, 1]).part(slice(1, None)), dataset.load(0, [0, 1])
    assert torch.equal(part.waveforms, alone.waveforms) and part.ids == alone.ids
    for name in ("lengths", "labels", "rows"):
        assert torch.equal(getattr(part, name), getattr(alone, name))
    assert not part.bad


def test_a_file_under_min_duration_is_told_apart(table):
    dataset = WaveformDataset(table, mode="score", min_duration=0.5)
    bad = dataset[0, 1]
    assert isinstance(bad, BadFile) and bad.kind == "short" and "0.400 s" in bad.reason
    assert isinstance(dataset[0, 2], Item)
    assert isinstance(WaveformDataset(table, mode="score")[0, 1], Item)


def test_an_unknown_mode_is_refused(table):
    with pytest.raises(ValueError, match="unknown mode 'test'"):
        WaveformDataset(table, mode="test")


# --- batches -----------------------------------------------------------------------------------


def test_a_batch_is_padded_with_zeros_behind_and_keeps_its_order(table):
    dataset = WaveformDataset(table, mode="score")
    batch = dataset.load(0, [4, 8, 2, 7])
    assert batch.ids == ["Set-4", "Set-2", "Set-7"] and batch.rows.tolist() == [4, 2, 7]
    assert batch.labels.tolist() == [1, 1, 0]
    assert batch.lengths.tolist() == [32_000, 16_000, 96_000]
    assert batch.waveforms.shape == (3, 96_000) and batch.waveforms.dtype == torch.float32
    np.testing.assert_array_equal(batch.waveforms[1, :16_000], dataset[0, 2].waveform)
    assert not batch.waveforms[1, 16_000:].any()
    assert [bad.id for bad in batch.bad] == ["Set-8"]
    assert len(batch) == 3 and batch.seconds == 9.0


def test_a_batch_of_bad_files_is_empty_and_names_them(table):
    batch = WaveformDataset(table, mode="score").load(0, [8, 9])
    assert len(batch) == 0 and batch.waveforms.shape[0] == 0 and batch.lengths.shape == (0,)
    assert [bad.row for bad in batch.bad] == [8, 9] and batch.seconds == 0


def test_a_batch_moves_whole():
    batch = collate([Item(3, "S-3", 1, np.ones(400, np.float32)), BadFile(4, "S-4", "p", "r")])
    moved = batch.to("meta")
    assert {t.device.type for t in (moved.waveforms, moved.lengths, moved.labels, moved.rows)} == {
        "meta"
    }
    assert moved.ids == ["S-3"] and moved.bad == batch.bad


class Splitting:
    """An augmentation whose last part is left for the device: here, one number a row."""

    def __call__(self, waveform, rng):
        return waveform + np.float32(rng.random())

    def split(self, waveform, rng):
        return waveform, np.float32(rng.random())


def test_what_is_left_for_the_device_is_handed_over_row_by_row(table):
    options = {"augmentation": Splitting(), "seed": 5}
    here = training(table, **options).load(1, [4, 8, 2, 7])
    handed = training(table, **options, on_device=True).load(1, [4, 8, 2, 7])
    assert here.draws == [] and len(handed.draws) == len(handed) == 3
    for row, draw in enumerate(handed.draws):
        length = int(handed.lengths[row])
        finished = handed.waveforms[row, :length] + torch.tensor(draw)
        assert torch.equal(finished, here.waveforms[row, :length])


# --- loaders -----------------------------------------------------------------------------------


def keys(table, epochs=2):
    plan = BatchPlan(table.durations, max_batch_length=6.0, seed=1, clip_seconds=2.0)
    return [(epoch, rows) for epoch in range(epochs) for rows in plan.epoch(epoch)]


def same(one, other):
    return (
        torch.equal(one.waveforms, other.waveforms)
        and torch.equal(one.lengths, other.lengths)
        and (one.ids, one.bad, one.remarks) == (other.ids, other.bad, other.remarks)
    )


def test_batches_are_the_same_bits_with_no_workers_and_with_two(table):
    alone = list(batch_loader(training(table), keys(table)))
    shared = list(batch_loader(training(table), keys(table), num_workers=2))
    assert len(alone) == len(shared) == len(keys(table))
    assert all(map(same, alone, shared))
    assert sum(len(batch.bad) for batch in alone) == 6  # three rows, two epochs
    assert sorted(row for batch in alone for row in batch.rows.tolist()) == sorted([*range(8)] * 2)


def test_batches_come_in_the_order_of_their_keys(table):
    rows = [np.array([row]) for row in (7, 0, 6, 1, 5, 2, 4, 3)]
    loaded = batch_loader(training(table), [(0, row) for row in rows], num_workers=2)
    assert [batch.rows.tolist() for batch in loaded] == [row.tolist() for row in rows]


@pytest.mark.needs("workers")
def test_workers_stay_from_pass_to_pass_and_end_with_the_loader(table):
    before = {process.pid for process in multiprocessing.active_children()}

    def workers():
        return {process.pid for process in multiprocessing.active_children()} - before

    with BatchLoader(training(table), num_workers=2) as loader:
        first = list(loader.load(keys(table, 1)))
        pids = workers()
        broken_off = loader.load(keys(table, 2))
        next(broken_off)
        again = list(loader.load(keys(table, 1)))
        assert workers() == pids and len(pids) == 2
    assert all(map(same, first, again))
    assert not workers()


@pytest.mark.needs("workers")
def test_keys_reach_workers_one_by_one(table):
    """Ten thousand batches are asked for; only as many keys are drawn as are loaded ahead."""
    drawn = []

    def endless():
        for number in range(10_000):
            drawn.append(number)
            yield number, np.array([2])

    loader = batch_loader(training(table), endless(), num_workers=2, prefetch_factor=2)
    for _ in range(3):
        next(loader)
    loader.close()
    assert len(drawn) <= 3 + 2 * 2 + 1


def test_loading_takes_nothing_from_the_global_generator(table):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(batch_loader(training(table), keys(table, 1)))
    list(batch_loader(training(table), keys(table, 1), num_workers=1))
    assert torch.equal(before, torch.get_rng_state())


def failing(waveform, rng):
    raise ZeroDivisionError("the augmentation's own mistake\nand a second line")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_in_loading_is_one_sentence(table, num_workers):
    dataset = training(table, augmentation=failing)
    with pytest.raises(LoaderError) as error:
        list(batch_loader(dataset, [(3, np.array([7]))], num_workers=num_workers))
    assert str(error.value) == (
        "row 7 of epoch 3 cannot be loaded (ZeroDivisionError: the augmentation's own mistake)"
    )


def dying(waveform, rng):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.needs("workers")
def test_a_killed_worker_is_one_sentence(table):
    dataset = training(table, augmentation=dying)
    with pytest.raises(LoaderError, match="a loader worker died .* fewer num_workers") as error:
        list(batch_loader(dataset, [(0, np.array([7]))], num_workers=1))
    assert "\n" not in str(error.value)


@pytest.mark.needs("workers")
@pytest.mark.slow  # a new process imports torch
def test_a_spawned_worker_maps_the_table_anew(table):
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        batch = pool.apply(WaveformDataset(table, mode="score").load, (0, [2, 8]))
    assert same(batch, WaveformDataset(table, mode="score").load(0, [2, 8]))


def test_not_finite_samples_are_a_bad_file(write_protocol, tmp_path):
    soundfile.write(tmp_path / "n.wav", np.full(9000, np.nan, np.float32), 16_000, subtype="FLOAT")
    table = ProtocolTable.open(write_protocol([{"Path": "$ROOT/n.wav"}]), data_folder=tmp_path)
    assert "not finite" in training(table)[0, 0].reason
