"""The two benchmarks of this room still run, on sizes that take seconds."""

import pytest

from benchmarks import loader, protocol_scale


@pytest.mark.slow
def test_protocol_scale_prints_a_row_for_each_reader(tmp_path, monkeypatch, capsys):
    arguments = ["protocol_scale", "--millions", "0.002", "0.004", "--folder", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    protocol_scale.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    readers = [row.split(" | ")[1] for row in rows[1:]]
    tables = ["table, cold", "table, warm"]
    assert readers == [*tables, "SpeechBrain", *tables]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_loader_prints_a_row_for_each_kind(tmp_path, monkeypatch, capsys):
    arguments = ["loader", "--files", "4", "--repeats", "1", "--folder", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    monkeypatch.setattr(loader, "LONG_SECONDS", 30)
    loader.main()
    out = capsys.readouterr().out
    kinds = [f"{suffix}, {words}" for words in loader.RATES for suffix in loader.FORMATS]
    assert [kind for kind in kinds if f"| {kind} |" in out] == kinds
    assert "| 2 workers |" in out
    table = [line for line in out.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table[:8]} == {8}
