"""evaluation.py fuse: weights, whose systems they are for, and what is written beside them."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.evaluation import normals, run, table, write_scores

SHA = {"A": "aa" * 32, "B": "bb" * 32}


@pytest.fixture
def systems(tmp_path, monkeypatch):
    """Systems A and B on a development and an evaluation set, with their checkpoints."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    for part in ("dev", "eval"):
        values, labels = normals(rng, 400)
        ids = [f"{'XYZ'[i % 2]}-{part}_{i:04d}" for i in range(400)]
        write_scores(f"A_{part}.csv", 2.5 * values + 1, labels, ids)
        noisy = 2.5 * values + 1 + 2.5 * rng.normal(size=400)
        write_scores(f"B_{part}.csv", noisy, labels, ids)
        for name, sha in SHA.items():
            Path(f"{name}_{part}.meta.json").write_text(json.dumps({"checkpoint_sha256": sha}))


def fuse(capsys, part="eval", output="F.csv", order="AB", extra=()):
    argv = ["fuse", "A_dev.csv", "B_dev.csv", "--apply", *(f"{name}_{part}.csv" for name in order)]
    return run(capsys, *argv, "--output", output, *extra)


def test_weights_are_shown_and_a_score_file_is_written(systems, capsys):
    status, out, _ = fuse(capsys)
    assert status == 0 and "weight" in out and "fused" in out and "note" not in out
    _, out, _ = run(capsys, "F.csv", "--metrics", "eer", "cllr")
    assert table(out)["all"]["eer"] < 0.4


def test_systems_in_another_order_are_refused(systems, capsys):
    status, _, err = fuse(capsys, order="BA")
    assert status == 2 and "A_dev.csv comes from checkpoint aaaaaaaaaaaa, B_eval.csv from" in err
    assert "in the same order" in err and not Path("F.csv").exists()


def test_files_that_do_not_say_their_checkpoint_are_pointed_out(systems, capsys):
    Path("B_eval.meta.json").unlink()
    status, out, _ = fuse(capsys)
    assert status == 0 and "no checkpoint in B_eval.meta.json" in out
    assert "A_eval" not in out.split("note: ")[1]


def test_what_was_fused_is_written_beside_the_scores(systems, capsys):
    fuse(capsys, extra=["--prior", "0.3"])
    meta = json.loads(Path("F.meta.json").read_text())
    assert meta["model"] == "fusion" and meta["training_prior"] == 0.3
    assert [source["checkpoint_sha256"] for source in meta["sources"]] == list(SHA.values())
    assert [source["development"] for source in meta["sources"]] == ["A_dev.csv", "B_dev.csv"]
    assert all(source["weight"] > 0 for source in meta["sources"])
    assert len(meta["checkpoint_sha256"]) == 64 and np.isfinite(meta["offset"])


def test_a_calibration_of_fused_scores_is_for_this_fusion_only(systems, capsys):
    fuse(capsys, part="dev", output="F_dev.csv")
    fuse(capsys, part="eval", output="F_eval.csv")
    fuse(capsys, part="eval", output="other.csv", extra=["--prior", "0.01"])
    assert "not recorded" not in run(capsys, "calibrate", "F_dev.csv", "--output", "cal.json")[1]
    assert run(capsys, "F_eval.csv", "--calibration", "cal.json")[0] == 0
    for wrong in ("A_eval.csv", "other.csv"):
        status, _, err = run(capsys, wrong, "--calibration", "cal.json")
        assert status == 2 and "same checkpoint" in err


def test_labels_may_be_in_one_development_file_only(systems, capsys):
    _, plain, _ = fuse(capsys)
    lines = Path("A_dev.csv").read_text().splitlines()
    bare = [lines[0], *(line.rpartition(",")[0] + ",-" for line in lines[1:])]
    Path("A_dev.csv").write_text("\n".join(bare) + "\n")
    assert fuse(capsys)[1] == plain


def test_systems_of_one_file_name_are_told_apart(systems, capsys):
    Path("other").mkdir()
    Path("other/A_dev.csv").write_text(Path("B_dev.csv").read_text())
    argv = ["fuse", "A_dev.csv", "other/A_dev.csv", "--apply", "A_eval.csv", "B_eval.csv"]
    status, out, _ = run(capsys, *argv, "--output", "F.csv")
    assert status == 0 and "\nA_dev.csv " in out and "\nother/A_dev.csv " in out
