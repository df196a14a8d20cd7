"""Malformed uploads: refused in a sentence, never a 500, and memory stays."""

import pytest
from support.hostile_uploads import WARM, fuzz

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("fastapi", "uvicorn", "prometheus_client", "python_multipart"),
]


def test_malformed_uploads_are_refused_and_leave_nothing(service, sounds, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    faults, statuses, gained = fuzz(service, WARM + 100, seed=1)
    assert faults == []
    assert {200, 422} <= set(statuses) and gained < 100
    assert list(tmp_path.iterdir()) == []
    assert service.score(sounds[0].read_bytes()).status == 200
