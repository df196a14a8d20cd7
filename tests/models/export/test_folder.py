"""An exported folder: what is in it, that it checks itself, and what is refused before any work."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file

from dataio.schema import UserError
from dataio.scores import Scores, write_scores
from metrics.calibration import Calibration, load_calibration, save_calibration
from models.checkpoints import load_detector, sha256_of
from models.export import run
from models.export.card import card
from models.export.folder import About, read_about
from models.export.selftest import logits_of
from models.export.sounds import selftest_sounds, sound

from .conftest import make_checkpoint, run_main

MODEL = "w2v_tiny"


@pytest.fixture
def copy(exported, tmp_path):
    """A folder of one's own to damage, without the form whose package takes ten seconds to load."""
    folder = shutil.copytree(exported(MODEL), tmp_path / "copy")
    (folder / "transformers.safetensors").unlink()
    return folder


def export(tmp_path, checkpoint, *words, model=MODEL):
    return run_main(
        "export", model, "--ckpt_path", checkpoint, "--output_folder", tmp_path / "o", *words
    )


def test_its_weights_are_the_checkpoints_under_our_names(exported, load):
    folder = exported(MODEL)
    module, info = load_detector(MODEL, folder)
    assert info.kind == "safetensors"
    for name, tensor in load(MODEL).state_dict().items():
        assert torch.equal(tensor, module.state_dict()[name]), name


def test_its_answers_are_the_detectors_on_three_sounds_of_16_bits(exported, load):
    folder = exported(MODEL)
    answers = json.loads((folder / "selftest/logits.json").read_text())["files"]
    assert len(answers) == 3
    for answer in answers:
        waveform, rate = soundfile.read(folder / "selftest" / answer["file"], dtype="float32")
        assert rate == 16000 and 0.5 <= len(waveform) / rate <= 4
        assert logits_of(load(MODEL), waveform) == pytest.approx(answer["logits"], abs=1e-5)


def test_the_sounds_are_the_same_everywhere_and_not_alike():
    assert np.array_equal(sound(1, 5), sound(1, 5)) and not np.array_equal(sound(1, 5), sound(1, 6))
    for waveform in selftest_sounds():
        assert np.array_equal(waveform * 32768, np.round(waveform * 32768))
        assert 0.05 < np.abs(waveform).max() <= 0.5


def test_selftest_passes_on_what_was_exported(copy):
    status, screen = run_main("selftest", copy)
    assert status == 0 and "native" in screen and "DIFFERS" not in screen


@pytest.mark.slow
@pytest.mark.needs("transformers")
def test_selftest_runs_every_engine_of_the_folder(exported):
    status, screen = run_main("selftest", exported(MODEL))
    rows = [line.split() for line in screen.splitlines()[1:] if line[:1].isalpha()]
    rows = [row for row in rows if row[0] != "Loading"]
    assert status == 0 and [row[0] for row in rows] == ["native", "transformers"], screen
    assert all(float(row[1]) < 1e-4 and float(row[2]) == 1e-3 for row in rows)


def test_selftest_finds_weights_that_were_changed(copy):
    weights = load_file(copy / "model.safetensors")
    weights["proj_fc.bias"] += torch.tensor([0.0, 0.01])
    save_file(weights, copy / "model.safetensors")
    status, screen = run_main("selftest", copy)
    assert status == 1 and [line for line in screen.splitlines() if "DIFFERS" in line][
        0
    ].startswith("native")


DAMAGES = {
    "none of ours": (lambda f: (f / "detector.json").unlink(), "no folder of `main.py export`"),
    "another format": (
        lambda f: edit(f / "detector.json", format="x"), "is of another format or model"
    ),
    "an unknown model": (
        lambda f: edit(f / "detector.json", model="../../x"), "is of another format or model"
    ),
    "code as its head": (
        lambda f: edit(f / "detector.json", head={"name": "evil.py:Head"}), "a head of its own"
    ),
    "no answers": (lambda f: (f / "selftest/logits.json").unlink(), "holds no selftest"),
    "a path for a sound": (
        lambda f: edit(
            f / "selftest/logits.json", files=[{"file": "../../a.wav", "logits": [0, 0]}]
        ),
        "names no sounds with two logits",
    ),
    "a sound that is none": (
        lambda f: (f / "selftest/2.wav").write_bytes(b"RIFF"), "cannot read 2.wav"
    ),
    "broken JSON": (lambda f: (f / "detector.json").write_text("{"), "is damaged"),
}  # fmt: skip


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_selftest_refuses_a_damaged_folder_in_one_sentence(copy, damage, message):
    damage(copy)
    status, screen = run_main("selftest", copy)
    assert status == 2 and message in screen and len(screen.strip().splitlines()) == 1, screen


def test_selftest_wants_one_folder():
    assert run_main("selftest") == (2, "error: name one exported folder or hub id: python main.py"
                                    " selftest FOLDER\n")  # fmt: skip
    assert "no file or folder here, and no hub id" in run_main("selftest", "no such thing")[1]


def test_a_licence_is_asked_for_and_kept_where_it_must_be(tmp_path, checkpoint_of, monkeypatch):
    status, screen = export(tmp_path, checkpoint_of(MODEL))
    assert status == 2 and "licence is not known: add --license" in screen
    assert run.license_of(None, True) == "cc-by-nc-sa-4.0"
    with pytest.raises(UserError, match="keep cc-by-nc-sa-4.0: leave --license out"):
        run.license_of("mit", True)
    with pytest.raises(UserError, match="expected the hub's word"):
        run.license_of("My Licence\nx: y", False)
    assert not (tmp_path / "o").exists()


def test_what_derives_from_released_weights_is_known_through_experiments(tmp_path, exported):
    assert run.derives_from_released("mms-300m-anti-deepfake")
    assert run.derives_from_released("nii-yamagishilab/mms-300m-anti-deepfake")
    assert not run.derives_from_released("somebody/else") and not run.derives_from_released("x.pt")
    checkpoint = tmp_path / "exp/save/CKPT+1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "ssl.ckpt").touch()
    (tmp_path / "exp/hyperparams.yaml").write_text("model: x\nckpt_path: w2v-small-anti-deepfake\n")
    for place in (tmp_path / "exp", checkpoint, checkpoint / "ssl.ckpt"):
        assert run.derives_from_released(place), place
    (tmp_path / "exp/hyperparams.yaml").write_text(f"ckpt_path: {exported(MODEL)}\n")
    assert not run.derives_from_released(tmp_path / "exp")


REFUSALS = {
    "no folder": (lambda t: [], "no --output_folder was given"),
    "a folder that is there": (lambda t: ["--output_folder", t], "is there already"),
    "no checkpoint": (lambda t: ["--output_folder", t / "o"], "no --ckpt_path was given"),
    "a precision": (lambda t: ["--output_folder", t / "o", "--onnx", "fp16"], "onnx is 'fp16'"),
}


@pytest.mark.parametrize(("words", "message"), REFUSALS.values(), ids=REFUSALS)
def test_mistakes_are_refused_before_any_work(tmp_path, words, message):
    status, screen = run_main("export", MODEL, *words(tmp_path))
    assert status == 2 and message in screen


def test_a_pretraining_file_is_no_detector(tmp_path, load):
    front = {n.removeprefix("m_ssl.model."): t for n, t in load(MODEL).state_dict().items()}
    torch.save({"model": {n: t for n, t in front.items() if "proj_fc" not in n}}, tmp_path / "p.pt")
    status, screen = export(tmp_path, tmp_path / "p.pt", "--license", "mit")
    assert status == 2 and "a pre-training file without a head" in screen
    assert not list(tmp_path.glob(".o*")) and not (tmp_path / "o").exists()


def scores_of(path, sha256, **more):
    """Two subsets: A has one of four fakes above a real file, B is separable."""
    ids = [f"{subset}-{n}" for subset in "AB" for n in range(8)]
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0] * 2, dtype=np.int8)
    s = np.r_[[1, 2, 3, 4, -1, -2, -3, 1.5], [1, 2, 3, 4, -1, -2, -3, -4]].astype(float)
    scores = Scores(np.array(ids, dtype=object), np.stack([-s / 2, s / 2], 1), labels)
    write_scores(path, scores)
    meta = {"checkpoint_sha256": sha256, "engine": "native", "precision": "fp32"} | more
    path.with_suffix(".meta.json").write_text(json.dumps(meta))
    return path


def test_the_card_has_the_figures_of_the_score_files_and_no_others(tmp_path, checkpoint_of):
    path = scores_of(tmp_path / "A|x.csv", sha256_of(checkpoint_of(MODEL)))
    words = ["--license", "mit", "--scores", path]
    status, screen = export(tmp_path, checkpoint_of(MODEL), *words)
    assert status == 0, screen
    text = (tmp_path / "o/README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    values = {
        r["dataset"]["type"]: r["metrics"][0]["value"] for r in front["model-index"][0]["results"]
    }
    assert values == {"all": 6.25, "A": 25.0, "B": 0.0} and front["license"] == "mit"
    assert front["pipeline_tag"] == "audio-classification"
    assert "| A\\|x.csv | native, fp32 | A | 4 | 4 | 25.00 [" in text
    (entry,) = [e for e in yaml.safe_load((tmp_path / "o/.eval_results/A_x.yaml").read_text())
                if e["dataset"]["id"] == "A"]  # fmt: skip
    assert entry["value"] == 25.0


def test_scores_of_the_int8_file_made_of_it_say_what_int8_changes(tmp_path, checkpoint_of):
    own = sha256_of(checkpoint_of(MODEL))
    made = {"engine": "onnx", "precision": "int8", "exported_from": [own]}
    paths = [scores_of(tmp_path / "a.csv", own), scores_of(tmp_path / "b.csv", "1" * 64, **made)]
    status, screen = export(tmp_path, checkpoint_of(MODEL), "--license", "mit", "--scores", *paths)
    assert status == 0, screen
    text = (tmp_path / "o/README.md").read_text()
    assert "int8 on the files of a.csv: EER 6.25 % instead of 6.25 % (+0.00 points)." in text


def test_a_card_without_score_files_names_no_figure(exported):
    text = (exported(MODEL) / "README.md").read_text()
    assert "None were handed in" in text and "EER" not in text and "model-index" not in text
    assert "selftest ." in text and "real - fake" in text and "What a score is not" in text


def test_scores_of_another_checkpoint_are_refused(tmp_path, checkpoint_of):
    path = scores_of(tmp_path / "s.csv", "0" * 64)
    status, screen = export(
        tmp_path, checkpoint_of(MODEL), "--license", "mit", "--scores", path, path
    )
    assert status == 2 and "has the scores of another checkpoint (000000000000...)" in screen


def test_a_calibration_goes_along_and_is_of_the_weights_in_the_folder(tmp_path, checkpoint_of):
    own = sha256_of(checkpoint_of(MODEL))
    for sha256, wanted in ((own, 0), ("0" * 64, 2)):
        save_calibration(tmp_path / "c.json", Calibration("affine", 2.0, checkpoint_sha256=sha256))
        words = ["--license", "mit", "--calibration", tmp_path / "c.json"]
        status, screen = export(tmp_path, checkpoint_of(MODEL), *words)
        assert status == wanted, screen
        shutil.rmtree(tmp_path / "kept", ignore_errors=True)
        if not wanted:
            (tmp_path / "o").rename(tmp_path / "kept")
            found = load_calibration(tmp_path / "kept/calibration.json")
            assert found.checkpoint_sha256 == sha256_of(tmp_path / "kept/model.safetensors")
            assert "calibrated (calibration.json)" in (tmp_path / "kept/README.md").read_text()
    assert "was fitted on another checkpoint" in screen


def test_a_folder_exported_again_keeps_its_scores_and_its_licence(exported, tmp_path):
    first = read_about(exported(MODEL))
    path = scores_of(tmp_path / "s.csv", first.checkpoint_sha256)
    words = ["--license", "apache-2.0", "--scores", path]
    assert export(tmp_path, exported(MODEL), *words)[0] == 0


def test_another_head_says_why_it_has_no_form_for_transformers(tmp_path):
    path = make_checkpoint(tmp_path / "m.ckpt", MODEL, {"name": "mhfa"})
    status, screen = export(tmp_path, path, "--license", "mit", "--head", "mhfa")
    assert status == 0 and "no form for transformers" in screen
    assert not (tmp_path / "o/config.json").exists()
    assert run_main("selftest", tmp_path / "o")[0] == 0


def test_a_released_detector_says_its_terms(tmp_path):
    about = About(MODEL, {"name": "mean_linear"}, "0", 0.5, "cc-by-nc-sa-4.0", True)
    assert "whose licence it keeps" in card(tmp_path, about, "title", [], [])


def test_files_have_the_modes_of_the_umask(exported):
    modes = {path.stat().st_mode & 0o777 for path in exported(MODEL).iterdir() if path.is_file()}
    assert len(modes) == 1
