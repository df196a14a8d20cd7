"""Memory does not grow with a recording's length: the bound of the benchmark on a short one."""

import pytest

from benchmarks.long_recordings import make_recording, measured


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["m4a"])
def test_twelve_minutes_take_no_more_than_300_mb_above_the_model(ending, tmp_path):
    short = make_recording(tmp_path / "short.wav", 10)
    found = measured(short, make_recording(tmp_path / f"long.{ending}", 720, rate=44_100))
    assert found["audio"] == pytest.approx(720, abs=1)
    assert found["mb"] < 300
