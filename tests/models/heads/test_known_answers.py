"""The published heads and losses, against answers of the published code."""

import json
from pathlib import Path

import pytest

from models.heads.__main__ import main
from models.heads.known_answers import compare

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("path", sorted(DATA.glob("*.json")), ids=lambda path: path.stem)
def test_a_head_or_loss_gives_the_published_answer(path):
    assert max(difference.relative for difference in compare(path)) < 1e-5


def test_the_command_exits_1_where_an_answer_is_another(tmp_path, capsys):
    answer = json.loads((DATA / "sls.json").read_text())
    answer["cases"][0]["output"][0][0] += 0.01
    (tmp_path / "other.json").write_text(json.dumps(answer))
    assert main(["check", str(DATA / "losses.json")]) == 0
    assert main(["check", str(tmp_path / "other.json")]) == 1
    assert "other.json: B 2, T 201: 7." in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"seed": 1, "state_dict": {"a": [1]}, "cases": []}'], ids=repr
)
def test_a_file_of_another_form_is_refused(tmp_path, capsys, content):
    (tmp_path / "x.json").write_text(content)
    assert main(["check", str(tmp_path / "x.json")]) == 2
    assert "is no known-answer file" in capsys.readouterr().err


def test_a_missing_tensor_is_refused(tmp_path, capsys):
    answer = json.loads((DATA / "mhfa.json").read_text())
    del answer["state_dict"]["att_head.bias"]
    (tmp_path / "x.json").write_text(json.dumps(answer))
    assert main(["check", str(tmp_path / "x.json")]) == 2
