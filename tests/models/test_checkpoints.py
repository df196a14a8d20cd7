"""Every kind of checkpoint fills a detector; everything else is refused by name."""

import argparse
import hashlib
import http.server
import os
import subprocess
import sys
import threading
import zipfile

import pytest
import safetensors.torch
import torch
import yaml

from dataio.schema import UserError
from models.checkpoints import PREFIX, load_checkpoint, load_detector, resolve_checkpoint
from models.detector import build_detector

NAME = "w2v_tiny"


@pytest.fixture
def weights(detector):
    return detector(NAME).state_dict()


def front_end_of(weights):
    return {
        name.removeprefix(PREFIX): tensor
        for name, tensor in weights.items()
        if name.startswith(PREFIX)
    }


def assert_filled(module, weights, *, but=()):
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, weights[name]) or name in but, name


def load(source, name=NAME):
    torch.manual_seed(7)
    return load_detector(name, source)


def test_a_detector_checkpoint_fills_everything(tmp_path, weights):
    torch.save(weights, tmp_path / "any.name")
    module, info = load(tmp_path / "any.name")
    assert_filled(module, weights)
    assert info.kind == "detector" and info.fills_head
    assert set(info.filled) == set(weights)
    assert info.sha256 == hashlib.sha256((tmp_path / "any.name").read_bytes()).hexdigest()


def test_a_checkpoint_fills_a_detector_that_exists_already(tmp_path, weights):
    torch.save(weights, tmp_path / "a.ckpt")
    module = build_detector(NAME)
    assert load_checkpoint(module, str(tmp_path / "a.ckpt"), model_name=NAME).kind == "detector"
    assert_filled(module, weights)


def test_a_loaded_detector_is_ready_to_score(tmp_path, weights, batch):
    torch.save(weights, tmp_path / "a.ckpt")
    module, _ = load(tmp_path / "a.ckpt")
    assert not any(part.training for part in module.modules())
    first, second = (module(*batch([5000])).logits for _ in range(2))
    assert torch.equal(first, second)


def test_no_compiler_is_loaded_on_the_way_to_a_score(tmp_path, weights):
    torch.save(weights, tmp_path / "a.ckpt")
    done = subprocess.run(
        [sys.executable, "-c", SCORE_SCRIPT, tmp_path / "a.ckpt"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr


SCORE_SCRIPT = """
import sys, torch
from models.checkpoints import load_detector
detector, _ = load_detector("w2v_tiny", sys.argv[1])
with torch.inference_mode():
    detector(torch.randn(1, 8000))
slow = ("sympy", "pandas", "torch._dynamo", "torch._inductor", "speechbrain", "matplotlib")
print([name for name in slow if name in sys.modules])
"""


WRAPPED = {
    "DistributedDataParallel": lambda w: {f"module.{name}": t for name, t in w.items()},
    "torch.compile": lambda w: {f"_orig_mod.{name}": t for name, t in w.items()},
    "both": lambda w: {f"module._orig_mod.{name}": t for name, t in w.items()},
    "a part compiled": lambda w: {
        name.replace("m_ssl.", "m_ssl._orig_mod."): w[name] for name in w
    },
    "Lightning": lambda w: {
        "epoch": 3,
        "callbacks": {},
        "state_dict": {f"model.{name}": t for name, t in w.items()},
        "optimizer_states": [{}],
    },
    "an average of weights": lambda w: {f"ema.{name}": t for name, t in w.items()},
    "a trainer's model": lambda w: {"model": w, "step": 1},
    "a trainer's state": lambda w: {"model_state_dict": w, "optimizer_state_dict": {}},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_names_behind_harmless_prefixes_are_known(tmp_path, weights, wrap):
    torch.save(wrap(weights), tmp_path / "a.ckpt")
    module, info = load(tmp_path / "a.ckpt")
    assert_filled(module, weights)
    assert info.kind == "detector" and set(info.filled) == set(weights)


def test_two_sets_of_weights_are_named_and_not_chosen_from(tmp_path, weights):
    both = {f"{prefix}.{name}": t for name, t in weights.items() for prefix in ("model", "ema")}
    torch.save({"state_dict": both}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="2 sets of weights, behind the names 'ema.' and 'model.'"):
        load(tmp_path / "a.ckpt")
    torch.save({**weights, "module.proj_fc.bias": torch.ones(2)}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="two tensors for proj_fc.bias, wrapped and plain"):
        load(tmp_path / "a.ckpt")


def test_what_lies_beside_a_prefix_is_named(tmp_path, weights):
    wrapped = {f"model.{name}": t for name, t in weights.items()}
    torch.save({"state_dict": {**wrapped, "loss.weight": torch.ones(2)}}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=r"1 unexpected \(loss.weight\)"):
        load(tmp_path / "a.ckpt")


class Config:
    """Stands for the configuration objects of fairseq that its files hold, and for an attack."""

    def __init__(self, trap):
        self.trap = trap

    def __reduce__(self):
        return os.mkdir, (str(self.trap),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("half", [True, False])
def test_a_pretraining_file_fills_all_but_the_head_and_runs_nothing(
    tmp_path, weights, zipped, half
):
    state = front_end_of(weights)
    if half:
        state = {name: tensor.half() for name, tensor in state.items()}
        weights = {name: tensor.half().float() for name, tensor in weights.items()}
    content = {
        "args": argparse.Namespace(arch="wav2vec2"),
        "cfg": Config(tmp_path / "executed"),
        "model": state,
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.zeros(9)}}},
    }
    path = tmp_path / "base.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    module, info = load(path)
    head = ("proj_fc.weight", "proj_fc.bias")
    assert_filled(module, weights, but=head)
    assert info.kind == "pretraining" and not info.fills_head
    assert 0 < module.proj_fc.weight.abs().max() < 1  # initialised, not left as found in memory
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("given", ["file", "folder"])
def test_safetensors_as_file_and_folder(tmp_path, weights, given):
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors")
    module, info = load(tmp_path / "model.safetensors" if given == "file" else tmp_path)
    assert_filled(module, weights)
    assert info.kind == "safetensors"


def test_safetensors_are_known_by_content(tmp_path, weights):
    safetensors.torch.save_file(weights, tmp_path / "weights.ckpt")
    assert load(tmp_path / "weights.ckpt")[1].kind == "safetensors"


def test_both_names_of_a_normalised_weight_are_read(tmp_path, weights):
    pos_conv = f"{PREFIX}encoder.pos_conv.0"
    renamed = dict(weights)
    for number, old in enumerate(("weight_g", "weight_v")):
        renamed[f"{pos_conv}.parametrizations.weight.original{number}"] = renamed.pop(
            f"{pos_conv}.{old}"
        )
    torch.save(renamed, tmp_path / "new.ckpt")
    assert_filled(load(tmp_path / "new.ckpt")[0], weights)


@pytest.mark.needs("fairseq")
def test_weights_go_round_between_the_engines(tmp_path, weights, batch):
    torch.save(weights, tmp_path / "a.ckpt")
    fairseq, _ = load_detector(NAME, tmp_path / "a.ckpt", engine="fairseq")
    torch.save(fairseq.state_dict(), tmp_path / "b.ckpt")
    native, _ = load(tmp_path / "b.ckpt")
    assert_filled(native, weights)
    with torch.no_grad():
        logits = [module.eval()(*batch([5000])).logits for module in (native, fairseq)]
    assert torch.allclose(*logits, atol=1e-4)


def experiment(folder, weights, metas):
    """A SpeechBrain save folder: in checkpoint number i every weight is moved by i."""
    for number, meta in enumerate(metas):
        checkpoint = folder / f"CKPT+{number}"
        checkpoint.mkdir(parents=True)
        moved = {name: tensor + number for name, tensor in weights.items()}
        torch.save(moved, checkpoint / "ssl.ckpt")
        (checkpoint / "CKPT.yaml").write_text(yaml.dump({"end-of-epoch": True, **meta}))


METAS = {
    "lowest of ours": ([{"valid_eer": 0.2}, {"valid_eer": 0.1}, {"kind": "last"}], 1),
    "lowest of the published": ([{"EER": 0.3}, {"EER": 0.05}, {"EER": 0.2}], 1),
    "newest without errors": ([{"unixtime": 5.0}, {"unixtime": 9.0}, {"unixtime": 7.0}], 1),
    "a NaN is no error": ([{"valid_eer": float("nan")}, {"error": 0.4}], 1),
    "newest of equals": (
        [{"eer": 0.1, "unixtime": 1.0}, {"eer": 0.1, "unixtime": 2.0}, {"unixtime": 3.0}],
        1,
    ),
}


@pytest.mark.parametrize(("metas", "chosen"), METAS.values(), ids=METAS)
@pytest.mark.parametrize("level", ["experiment", "save", "checkpoint"])
def test_an_experiment_folder_gives_its_best_checkpoint(tmp_path, weights, metas, chosen, level):
    save = tmp_path / "exp" / "save"
    experiment(save, weights, metas)
    folder = {"experiment": save.parent, "save": save, "checkpoint": save / f"CKPT+{chosen}"}[level]
    module, info = load(folder)
    assert info.kind == "experiment" and info.path == save / f"CKPT+{chosen}" / "ssl.ckpt"
    assert_filled(module, {name: tensor + chosen for name, tensor in weights.items()})


def test_a_checkpoint_folder_without_weights_is_passed_over(tmp_path, weights):
    experiment(tmp_path, weights, [{"valid_eer": 0.2}, {"valid_eer": 0.1}])
    (tmp_path / "CKPT+1" / "ssl.ckpt").unlink()
    assert resolve_checkpoint(tmp_path).path == tmp_path / "CKPT+0" / "ssl.ckpt"


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as a download of one file needs."""

    files: dict[str, bytes] = {}

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        body = self.files.get(self.path)
        if body is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", "../../.." if "odd" in self.path else 10 * "abcd")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path, weights):
    """Run a line of Python whose hub is a server on loopback with one detector; its output."""
    body = safetensors.torch.save(weights)
    route = "/nii-yamagishilab/w2v-tiny-anti-deepfake/resolve/main/model.safetensors"
    odd = "/someone/odd-answers/resolve/main/model.safetensors"
    handler = type("Handler", (Hub,), {"files": {route: body, odd: body}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": ".",
    }

    def run(code):
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )

    yield run
    server.shutdown()


HUB_SCRIPT = """
from models.checkpoints import load_detector
from dataio.schema import UserError
for source in ("w2v-tiny-anti-deepfake", "nii-yamagishilab/w2v-tiny-anti-deepfake"):
    module, info = load_detector("w2v_tiny", source)
    print(info.kind, float(module.proj_fc.weight.double().sum()))
for source in ("someone/nothing-here", "someone/odd-answers"):
    try:
        load_detector("w2v_tiny", source)
    except UserError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_hub_id_is_downloaded_and_one_that_does_not_exist_is_one_sentence(hub, weights):
    done = hub(HUB_SCRIPT)
    *loaded, refusal, odd = done.stdout.splitlines()
    total = float(weights["proj_fc.weight"].double().sum())
    assert loaded == [f"safetensors {total}"] * 2, done.stderr
    assert "someone/nothing-here is no file or folder here and not to be had" in refusal
    assert "as someone/odd-answers (Invalid pointer path" in odd and done.returncode == 0


def test_a_missing_file_says_where_to_get_it():
    with pytest.raises(UserError, match="base_300m.pt from https://github.com/.*/mms .*zenodo"):
        load("nowhere/base_300m.pt", "mms_300m")


def test_a_missing_file_is_not_asked_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "downloads").mkdir()
    for source in ("downloads/mms_300m", "downloads/mms_300m.ckpt", "other/mms_300m.ckpt"):
        with pytest.raises(UserError, match=f"checkpoint {source} does not exist"):
            load(source)


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint: expected model.safetensors"):
        load(tmp_path)


REFUSED = {
    "missing": (lambda w: w.pop("proj_fc.bias"), r"1 missing \(proj_fc.bias\)"),
    "unexpected": (lambda w: w.update(new=torch.ones(2)), r"1 unexpected \(new\)"),
    "misshapen": (
        lambda w: w.update({"proj_fc.bias": torch.ones(3)}),
        r"1 misshapen \(proj_fc.bias \(3,\) instead of \(2,\)\)",
    ),
    "no floats": (
        lambda w: w.update({"proj_fc.bias": torch.ones(2).int()}),
        "proj_fc.bias not a tensor of floats",
    ),
    "not a tensor": (lambda w: w.update(epoch=3), r"1 unexpected \(epoch\)"),
}


@pytest.mark.parametrize(("damage", "message"), REFUSED.values(), ids=REFUSED)
def test_a_misfit_is_refused_by_name_and_nothing_is_changed(tmp_path, weights, damage, message):
    weights = dict(weights)
    damage(weights)
    torch.save(weights, tmp_path / "a.ckpt")
    module = build_detector(NAME)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(UserError, match=message):
        load_checkpoint(module, tmp_path / "a.ckpt", model_name=NAME)
    assert_filled(module, before)


def test_unused_tensors_may_be_absent(tmp_path, weights):
    lean = {name: tensor for name, tensor in weights.items() if "quantizer" not in name}
    torch.save(lean, tmp_path / "lean.ckpt")
    module, _ = load(tmp_path / "lean.ckpt")
    assert torch.equal(module.proj_fc.weight, weights["proj_fc.weight"])
    assert module.m_ssl.model.quantizer.vars.isfinite().all()


def test_the_first_ten_names_and_a_count_are_listed(tmp_path, weights):
    torch.save({"proj_fc.weight": weights["proj_fc.weight"]}, tmp_path / "a.ckpt")
    with pytest.raises(UserError) as caught:
        load(tmp_path / "a.ckpt")
    needed = len(build_detector(NAME).detection_parameters())
    listing = str(caught.value).split("(", 2)[2].split(", and ")[0]
    assert f"{needed - 1} missing" in str(caught.value)
    assert len(listing.split(", ")) == 10 and f"and {needed - 11} more" in str(caught.value)


@pytest.mark.parametrize("actual", ["xlsr_tiny", "hubert_tiny"])
def test_a_file_of_another_model_is_called_by_its_name(tmp_path, actual):
    torch.save(build_detector(actual).state_dict(), tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=f"it looks like {actual}: name that model's YAML"):
        load(tmp_path / "a.ckpt")


OTHERS = {
    "empty": (b"", "is no checkpoint: it is empty: get the file"),
    "zeros": (bytes(99), "begins with zeros, as a download does that was broken off"),
    "a table": (b"ID,Score,Label\n", "is no checkpoint: it is a text file"),
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1262\n",
        "it is a Git LFS pointer to the file: run `git lfs pull` there",
    ),
    "a web page": (b"\n <!DOCTYPE html><html>Sign in", "it is a web page .*by its direct link"),
    "a message": (b'{"error": "Repository not found"}', "it is JSON text, as a server's message"),
    "gzip": (b"\x1f\x8b\x08\x00", "compressed by gzip: unpack it first"),
    "a bare pickle": (b"\x80\x04}.", "a bare pickle: save a state dict with torch.save"),
    "JSON that is none": (b"\x10" + bytes(7) + b"{broken json 1234", "cannot read checkpoint"),
    "half a zip": (b"PK\x03\x04 and then nothing", "no zip directory at its end.*is it cut off"),
}


@pytest.mark.parametrize(("content", "message"), OTHERS.values(), ids=OTHERS)
def test_other_files_are_refused_in_one_sentence(tmp_path, content, message):
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(tmp_path / "a.ckpt")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_part_of_a_file_is_damaged_and_to_be_got_again(tmp_path, weights, kind, share):
    path = tmp_path / "a.ckpt"
    if kind == "safetensors":
        safetensors.torch.save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=kind == "zip")
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(UserError, match="content is damaged .*(get the file again|is it cut off)"):
        load(path)


def test_a_plain_zip_of_a_checkpoint_is_to_be_unpacked(tmp_path, weights):
    torch.save(weights, tmp_path / "a.ckpt")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "a.ckpt", "a.ckpt")
    with pytest.raises(UserError, match="a zip archive, but not one of torch.save: unpack it"):
        load(tmp_path / "a.zip")


def test_a_file_without_a_dictionary_is_refused(tmp_path):
    torch.save([torch.ones(2)], tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="holds no dictionary of tensors"):
        load(tmp_path / "a.ckpt")


def test_the_hash_is_of_the_file_that_was_loaded(tmp_path, weights):
    torch.save(weights, tmp_path / "a.ckpt")
    _, info = load(tmp_path / "a.ckpt")
    (tmp_path / "a.ckpt").write_bytes(b"something else")
    with pytest.raises(UserError, match="was changed while in use"):
        _ = info.sha256


MEMORY_SCRIPT = """
import pathlib, re, sys, torch
from models.checkpoints import load_detector
def peak():  # not ru_maxrss, which begins with that of the process that started this one
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(re.search("VmHWM:(.*)kB", status)[1])
before = peak()
detector, _ = load_detector("w2v_small", sys.argv[1])
size = sum(p.numel() * p.element_size() for p in detector.parameters())
print((peak() - before) / size)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ckpt", "safetensors", "pretraining"])
def test_loading_needs_at_most_one_copy_beside_the_detector(tmp_path, kind):
    """Peak resident memory, mapped file pages included, of a process that loads 95 M parameters."""
    weights = build_detector("w2v_small").state_dict()
    path = tmp_path / kind
    if kind == "safetensors":
        safetensors.torch.save_file(weights, path)
    else:
        optimizer = {"last_optimizer_state": [torch.zeros(95_000_000)]}
        content = {"model": front_end_of(weights), **optimizer}
        torch.save(weights if kind == "ckpt" else content, path)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_SCRIPT, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert float(done.stdout) < 2.1
