"""Windows of a recording: where they lie, what they count for, and that chunks do not matter."""

import numpy as np
import pytest

from dataio.schema import SAMPLE_RATE, UserError
from dataio.windows import FRAME, WindowCutter, Windows, counted, cross_fade, windowing_of


def cut(samples, window, hop, chunks=None):
    """[(start, window)] of samples that come in chunks of these sizes, by turns."""
    cutter, found, at = WindowCutter(window, hop), [], 0
    sizes = chunks or [len(samples)]
    for turn in range(len(samples) + 1):
        if at >= len(samples):
            break
        size = sizes[turn % len(sizes)]
        found += list(cutter.feed(samples[at : at + size]))
        at += size
    assert cutter.samples == len(samples)
    return found + list(cutter.finish())


@pytest.fixture
def samples():
    return np.random.default_rng(0).standard_normal(20 * FRAME + 17).astype(np.float32)


@pytest.mark.parametrize("hop", [1, 2, 3, 4])
@pytest.mark.parametrize("chunks", [[1], [7, 4000], [FRAME], [20 * FRAME]])
def test_how_samples_come_changes_no_window(samples, hop, chunks):
    at_once = cut(samples, 4 * FRAME, hop * FRAME)
    in_pieces = cut(samples, 4 * FRAME, hop * FRAME, chunks)
    assert [start for start, _ in at_once] == [start for start, _ in in_pieces]
    for (start, left), (_, right) in zip(at_once, in_pieces, strict=True):
        assert np.array_equal(left, right)
        assert np.array_equal(left, samples[start : start + len(left)])


def test_windows_begin_every_hop_on_a_frame_and_the_last_ends_with_the_recording(samples):
    found = cut(samples[: 18 * FRAME + 100], 4 * FRAME, 3 * FRAME)
    assert [start // FRAME for start, _ in found] == [0, 3, 6, 9, 12, 15]
    assert len(found[-1][1]) == 3 * FRAME + 100
    assert all(len(window) == 4 * FRAME for _, window in found[:-1])
    found = cut(samples[: 17 * FRAME + 100], 4 * FRAME, 4 * FRAME)
    assert [start // FRAME for start, _ in found] == [0, 4, 8, 12, 14]
    assert found[-1][0] + len(found[-1][1]) == 17 * FRAME + 100


def test_less_than_a_frame_at_the_end_makes_no_window(samples):
    assert len(cut(samples[: 8 * FRAME + FRAME - 1], 4 * FRAME, 4 * FRAME)) == 2
    assert len(cut(samples[: 8 * FRAME + FRAME], 4 * FRAME, 4 * FRAME)) == 3


def test_a_recording_shorter_than_a_window_is_one(samples):
    ((start, window),) = cut(samples[:500], 4 * FRAME, 2 * FRAME, [11])
    assert start == 0 and np.array_equal(window, samples[:500])
    assert cut(samples[:0], 4 * FRAME, 2 * FRAME) == []


@pytest.mark.parametrize("hop", [1, 3, 5, 10])
def test_a_frame_counts_once_however_many_windows_hold_it(samples, hop):
    found = cut(samples, 10 * FRAME, hop * FRAME)
    starts = [start for start, _ in found]
    fades = cross_fade(starts, [start + len(window) for start, window in found])
    total = np.zeros(20)
    for start, fade in zip(starts, fades, strict=True):
        assert (fade > 0).all()
        total[start // FRAME :][: len(fade)] += fade
    assert total == pytest.approx(np.ones(20))


def test_half_a_window_apart_two_windows_fade_into_each_other():
    """A known answer: in the overlap the first falls in a line, the second rises."""
    first, second = cross_fade([0, 4 * FRAME], [8 * FRAME, 12 * FRAME])
    assert first == pytest.approx([1, 1, 1, 1, 7 / 8, 5 / 8, 3 / 8, 1 / 8])
    assert second == pytest.approx(first[::-1])


def test_a_mean_weighs_seconds_of_speech():
    second = SAMPLE_RATE
    logits = np.array([[0.0, 4.0], [2.0, 0.0], [9.0, -9.0]])
    starts, stops = [0, second, 2 * second], [second, 2 * second, 3 * second]
    windows = counted(starts, stops, logits, [(0.5, 1.0), (1.0, 1.25)])
    assert windows.seconds == pytest.approx([0.5, 0.25, 0.0], abs=0.011)
    assert windows.mean(windows.logits) == pytest.approx([2 / 3, 8 / 3], rel=0.05)
    assert windows.worst() == 1  # of those with speech
    assert windows.share(np.array([False, True, True])) == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("speech", [None, [], [(50.0, 60.0)]])
def test_without_speech_in_any_window_a_mean_weighs_seconds(speech):
    logits = np.array([[0.0, 3.0], [0.0, 0.0]])
    windows = counted([0, SAMPLE_RATE], [SAMPLE_RATE, 3 * SAMPLE_RATE], logits, speech)
    assert windows.seconds == pytest.approx([1.0, 2.0])
    assert windows.mean(logits) == pytest.approx([0.0, 1.0])


def test_a_last_window_counts_only_for_what_is_its_own():
    """10 s and a second, in windows of 10 s: the two overlap by 9 s, which count once."""
    starts, stops = [0, SAMPLE_RATE], [10 * SAMPLE_RATE, 11 * SAMPLE_RATE]
    windows = counted(starts, stops, np.zeros((2, 2)), None)
    assert isinstance(windows, Windows) and windows.seconds == pytest.approx([5.5, 5.5])


def keys(**changed):
    return {"window_seconds": 10, "hop_seconds": None, "max_whole_seconds": 60} | changed


def test_keys_become_whole_frames():
    assert windowing_of(keys()) == (160_000, 160_000, 60)
    assert windowing_of(keys(window_seconds=1.01, hop_seconds=0.495)) == (16_000, 8_000, 60)
    assert windowing_of(keys(window_seconds=None)) is None
    assert windowing_of(keys(max_whole_seconds=None)) is None


def test_windows_that_leave_something_out_are_refused():
    with pytest.raises(UserError, match="hop_seconds 11 is longer than window_seconds 10"):
        windowing_of(keys(hop_seconds=11))
    with pytest.raises(UserError, match="window_seconds 0.1 is too short"):
        windowing_of(keys(window_seconds=0.1))
