"""The ONNX form: the numbers of PyTorch for any length and batch, int8 within its stated bound."""

import json
import subprocess
import sys
from importlib.metadata import distribution

import numpy as np
import pytest
import soundfile
import torch
from packaging.requirements import Requirement

import main
from dataio.schema import UserError
from metrics.calibration import Calibration
from models.checkpoints import load_detector, sha256_of
from models.detector import build_detector
from models.export import onnx_graph
from models.export.folder import read_about
from models.export.sounds import sound

from .conftest import LARGE, make_checkpoint, run_main

pytestmark = [pytest.mark.slow, pytest.mark.needs("onnx", "onnxscript", "onnxruntime")]
MODELS = ("w2v_tiny", "xlsr_tiny", "hubert_tiny")
SECONDS = (0.025, 0.5, 1, 4, 10.01)
BOTH = ("--onnx", "fp32", "int8")


def pairs(detector, runtime, sounds):
    """Both outputs of the sounds, each alone and then all in one padded batch."""
    waveforms = [torch.from_numpy(s) for s in sounds]
    lengths = torch.tensor([len(s) for s in sounds])
    batch = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    # what lies in the padding is never read
    batch += torch.where(torch.arange(batch.shape[1]) < lengths[:, None], 0.0, 0.3)
    inputs = [(s[None], None) for s in waveforms] + [(batch, lengths)]
    with torch.inference_mode():
        return [(detector(*i, with_frames=True), runtime(*i, with_frames=True)) for i in inputs]


@pytest.mark.parametrize("model", MODELS)
def test_it_gives_pytorchs_numbers_alone_and_in_a_padded_batch(exported, load, model):
    runtime, info = load_detector(model, exported(model, *BOTH), engine="onnx")
    assert info.kind == "onnx" and info.path.name == "model.onnx"
    sounds = [sound(seconds, 60 + n) for n, seconds in enumerate(SECONDS)]
    for ours, theirs in pairs(load(model), runtime, sounds):
        scale = float(ours.logits.abs().max())
        assert float((ours.logits - theirs.logits).abs().max()) < 1e-4 * max(scale, 1.0)
        assert float((ours.embedding - theirs.embedding).abs().max()) < 1e-3
        assert torch.equal(ours.frame_lengths, theirs.frame_lengths)
        for row, count in enumerate(theirs.frame_lengths):
            own = theirs.frame_logits[row, :count]
            assert torch.allclose(own, ours.frame_logits[row, :count], atol=1e-3)
            assert torch.allclose(own.mean(0), theirs.logits[row], atol=1e-4 * max(scale, 1.0))
            assert not theirs.frame_logits[row, count:].any()


@pytest.mark.parametrize("level", [1e-4, 30.0])
def test_normalisation_is_in_the_graph(exported, load, level):
    runtime, _ = load_detector("w2v_tiny", exported("w2v_tiny", *BOTH), engine="onnx")
    waveform = torch.from_numpy(sound(1.3, 70))[None] * level + 0.01
    detector = load("w2v_tiny")
    with torch.inference_mode():
        difference = detector(waveform).logits - runtime(waveform).logits
    assert float(difference.abs().max()) < 1e-3


def test_the_folder_checks_every_engine_and_says_what_int8_changes(exported):
    folder = exported("w2v_tiny", *BOTH)
    status, screen = run_main("selftest", folder)
    rows = {line.split()[0]: line for line in screen.splitlines()[1:] if line.strip()}
    assert status == 0 and {"native", "onnx_fp32", "onnx_int8"} <= set(rows), screen
    bound = read_about(folder).tolerances["onnx_int8"]
    assert bound > 0 and f"the self-test allows {bound:.1e}" in (folder / "README.md").read_text()
    smaller = (folder / "model_int8.onnx").stat().st_size / (folder / "model.onnx").stat().st_size
    assert smaller < 0.75


def test_metadata_say_what_the_file_is(exported, checkpoint_of):
    folder = exported("w2v_tiny", *BOTH)
    for name, precision in (("model.onnx", "fp32"), ("model_int8.onnx", "int8")):
        about = load_detector("w2v_tiny", folder / name, engine="onnx")[0].about
        assert about["precision"] == precision and about["labels"] == ["fake", "real"]
        assert about["checkpoint_sha256"] == sha256_of(checkpoint_of("w2v_tiny"))
        assert about["weights_sha256"] == sha256_of(folder / "model.safetensors")
        assert (about["sample_rate"], about["threshold"]) == (16000, 0.5)
        assert about["license"] == "apache-2.0" and "more likely real" in about["direction"]
    assert about["logit_bound"] == read_about(folder).tolerances["onnx_int8"]


def test_no_path_of_the_machine_is_in_the_file(exported):
    content = (exported("w2v_tiny", *BOTH) / "model.onnx").read_bytes()
    assert b"site-packages" not in content and b"native.py" not in content


def test_a_files_int8_score_does_not_depend_on_its_company(exported):
    runtime, _ = load_detector(
        "w2v_tiny", exported("w2v_tiny", *BOTH) / "model_int8.onnx", engine="onnx"
    )
    (alone, _), *_, (together, _) = pairs(runtime, runtime, [sound(1, 80), sound(2.5, 81)])
    assert torch.equal(alone.logits[0], together.logits[0])


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_score_runs_an_exported_file_and_its_hash_is_beside_the_scores(
    exported, tmp_path, precision
):
    folder = exported("w2v_tiny", *BOTH)
    path = folder / {"fp32": "model.onnx", "int8": "model_int8.onnx"}[precision]
    words = ["--ckpt_path", path, "--output", tmp_path / "v.json", "--ssl_engine", "onnx"]
    status, screen = run_main("score", "w2v_tiny", folder / "selftest", *words, "--device", "cpu")
    assert status == 0, screen
    found = json.loads((tmp_path / "v.json").read_text())
    expected = json.loads((folder / "selftest/logits.json").read_text())["files"]
    logits = [[file["logits"] for file in files] for files in (found["files"], expected)]
    assert len(expected) == 3
    assert np.abs(np.subtract(*logits)).max() <= read_about(folder).tolerances[f"onnx_{precision}"]
    assert found["meta"]["checkpoint_sha256"] == sha256_of(path)
    assert (found["meta"]["engine"], found["meta"]["precision"]) == ("onnx", precision)


MISTAKES = {
    "another model": (["xlsr_tiny"], {}, "has the model w2v_tiny, not xlsr_tiny"),
    "another head": (["w2v_tiny"], {"head": "mhfa"}, "has the head mean_linear, not mhfa"),
    "a precision": (["w2v_tiny"], {"eval_precision": "bf16"}, "has its own precision"),
    "the wrong engine": (["w2v_tiny"], {"ssl_engine": "native"}, "run by --ssl_engine onnx"),
}


@pytest.mark.parametrize(("words", "options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence(exported, words, options, message):
    path = exported("w2v_tiny", *BOTH) / "model.onnx"
    options = {"ssl_engine": "onnx", "ckpt_path": path, "device": "cpu"} | options
    flags = [f"--{key}={value}" for key, value in options.items()]
    status, screen = run_main("score", *words, path.parent / "selftest", *flags)
    assert status == 2 and message in screen and len(screen.strip().splitlines()) == 1, screen


def test_what_is_no_exported_file_is_refused(tmp_path, exported):
    import onnx

    (tmp_path / "text.onnx").write_text("hello")
    model = onnx.load(exported("w2v_tiny", *BOTH) / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    for source, message in (
        (tmp_path / "text.onnx", "cannot read the ONNX file"),
        (tmp_path / "bare.onnx", "is no detector of `main.py export`"),
        (tmp_path, "holds no model.onnx or model_int8.onnx"),
        (tmp_path / "none.onnx", "does not exist"),
    ):
        with pytest.raises(UserError, match=message):
            load_detector("w2v_tiny", source, engine="onnx")
    with pytest.raises(UserError, match="no weights to train"):
        build_detector("w2v_tiny", engine="onnx")


def test_weights_too_large_for_one_file_lie_beside_it(exported):
    folder = exported(LARGE, *BOTH)  # whose graph the first test runs
    for name in ("model.onnx", "model_int8.onnx"):
        assert (folder / f"{name}.data").stat().st_size > 10 * 2**16
        assert (folder / name).stat().st_size < 2**20
    assert run_main("selftest", folder)[0] == 0


def test_a_head_that_no_graph_can_hold_says_so(tmp_path):
    path = make_checkpoint(tmp_path / "a.ckpt", "w2v_tiny", {"name": "aasist"})
    words = ["--ckpt_path", path, "--output_folder", tmp_path / "o", "--license", "mit"]
    status, screen = run_main("export", "w2v_tiny", *words, "--head=aasist", "--onnx=fp32")
    assert status == 2 and "the head Aasist cannot be written as ONNX" in screen
    assert not (tmp_path / "o").exists()


def test_another_head_is_exact_in_a_padded_batch_too(tmp_path, head="mhfa"):
    detector, _ = load_detector(
        "xlsr_tiny", make_checkpoint(tmp_path / "h.ckpt", "xlsr_tiny", {"name": head}),
        head={"name": head},
    )  # fmt: skip
    onnx_graph.write(tmp_path / "model.onnx", detector, {"model": "xlsr_tiny", "head": head})
    runtime, _ = load_detector("xlsr_tiny", tmp_path, engine="onnx", head={"name": head})
    for ours, theirs in pairs(detector, runtime, [sound(0.5, 91), sound(2.5, 92)]):
        scale = float(ours.logits.abs().max())
        assert float((ours.logits - theirs.logits).abs().max()) < 1e-4 * max(scale, 1.0)
        assert theirs.frame_logits is None


def environment_of(folder, *packages):
    """A folder to import from that holds these packages, what they ask for, and nothing else."""
    folder.mkdir()
    names, seen = list(packages), set()
    while names:
        found = distribution(names.pop())
        if found.name in seen:
            continue
        seen.add(found.name)
        asked = [Requirement(text) for text in found.requires or ()]
        names += [r.name for r in asked if r.marker is None or r.marker.evaluate({"extra": ""})]
        tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", ".")}
        for top in tops - {"__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(found.locate_file(top))
    return folder


BARE = """
import runpy, sys
sys.path.append(sys.argv[1])
for name in ("torch", "scipy", "models", "transformers"):
    try:
        __import__(name)
        sys.exit(name + " is here")
    except ImportError:
        pass
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_run_onnx_needs_three_packages_and_gives_the_answers(exported, tmp_path):
    folder = exported("w2v_tiny", *BOTH)
    packages = environment_of(tmp_path / "packages", "onnxruntime", "numpy", "soundfile")
    wavs = [folder / f"selftest/{n}.wav" for n in (1, 2, 3)]
    expected = json.loads((folder / "selftest/logits.json").read_text())["files"]
    for words, allowed in (([], 1e-3), (["model_int8.onnx"], None)):
        command = [sys.executable, "-I", "-S", "-c", BARE, packages, folder / "run_onnx.py"]
        done = subprocess.run([*command, *words, *wavs], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        assert [row[0] for row in rows] == list(map(str, wavs))
        for (_, p_real, verdict, logits), answer in zip(rows, expected, strict=True):
            pair = np.array(json.loads(logits))
            bound = allowed or read_about(folder).tolerances["onnx_int8"]
            assert np.abs(pair - answer["logits"]).max() <= bound
            assert float(p_real) == pytest.approx(1 / (1 + np.exp(pair[0] - pair[1])), abs=1e-4)
            assert verdict == ("real" if float(p_real) >= 0.5 else "fake")
    assert len((folder / "run_onnx.py").read_text().splitlines()) <= 50


def test_run_onnx_calibrates_as_the_toolkit_does():
    from models.export.run_onnx import p_real

    for made in (
        Calibration("affine", 0.7, -1.2),
        Calibration("isotonic", knots=(-1.0, 0.5, 2.0), values=(-3.0, 0.1, 4.0)),
    ):
        for s in (-5.0, -0.3, 0.0, 1.1, 9.0):
            assert p_real((0.0, s), vars(made)) == pytest.approx(made.probability(s, 0.5))


def test_the_benchmark_fills_its_table(exported, capsys, monkeypatch):
    from benchmarks.cpu_inference import ENGINES, main

    for name in ("PyTorch bf16", "ONNX float32"):  # each starts a process
        monkeypatch.delitem(ENGINES, name)
    folder = exported("w2v_tiny", *BOTH)
    model = folder.parent / "w2v_tiny"
    if not model.exists():
        model.symlink_to(folder)
    words = ["--folder", str(folder.parent), "--model", "w2v_tiny", "--seconds", "0.5"]
    main([*words, "--rounds", "1", "--threads", "1"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if " MB " in line]
    assert [row[0].removeprefix("| ") for row in rows] == list(ENGINES)
    for row in rows:
        assert float(row[1].split()[0]) > 0 and 50 < float(row[3].split()[0]) < 5000


@pytest.mark.needs("fastapi", "uvicorn", "multipart")
def test_the_service_and_timelines_run_an_exported_file(exported, tmp_path, monkeypatch):
    from support.serving import Running

    for name in ("speech.has_speech", "remarks.has_speech"):
        monkeypatch.setattr(f"models.scoring.{name}", lambda _waveform: True)
    monkeypatch.setattr("models.scoring.speech.find_spec", lambda _name: None)
    folder, path = exported("w2v_tiny", *BOTH), tmp_path / "a.wav"
    soundfile.write(path, sound(2.5, 7), 16_000)
    curves, answers = [], []
    for checkpoint, engine in (
        (folder / "model.safetensors", "native"),
        (folder / "model.onnx", "onnx"),
    ):
        keys = {"ckpt_path": checkpoint, "ssl_engine": engine, "device": "cpu", "window_seconds": 1}
        words = [f"--{key}={value}" for key, value in keys.items()]
        words += [f"--output_folder={tmp_path / engine}", "--curve=frames"]
        assert main.main(["timeline", "hparams/w2v_tiny.yaml", str(path), *words]) == 0
        (written,) = (tmp_path / engine).rglob("*.json")
        curves.append(json.loads(written.read_text())["frame_scores"])
        service = Running(checkpoint, ssl_engine=engine)
        try:
            (verdict,) = service.score(path.read_bytes()).json["verdicts"]
        finally:
            service.stop()
        answers.append([verdict["fake_logit"], verdict["real_logit"]])
    np.testing.assert_allclose(*curves, atol=1e-4)
    np.testing.assert_allclose(*answers, atol=1e-4)
