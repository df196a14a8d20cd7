"""Exported folders of tiny detectors, made once for the tests of this folder."""

import contextlib
import io

import pytest
import torch

import main
from models.checkpoints import load_detector
from models.detector import build_detector

LARGE = "hubert_tiny"  # is exported as if a file could not hold its weights


def make_checkpoint(path, model, head=None, seed=3):
    """Random weights, every norm and bias off its one or zero, the head's large as if trained."""
    torch.manual_seed(seed)
    detector = build_detector(model, head=head)
    with torch.no_grad():
        for parameter in detector.m_ssl.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape))
        detector.classifier.last_layer.weight.mul_(20)
    torch.save(detector.state_dict(), path)
    return path


def run_main(*words):
    """`main.py words` in this process: (status, screen)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main.main(list(map(str, words)))
    return status, out.getvalue() + err.getvalue()


@pytest.fixture(scope="session")
def checkpoint_of(tmp_path_factory):
    """`checkpoint_of(model)`: its file, made once."""
    made = {}

    def find(model):
        if model not in made:
            path = tmp_path_factory.mktemp("weights") / f"{model}.ckpt"
            made[model] = make_checkpoint(path, model)
        return made[model]

    return find


@pytest.fixture(scope="session")
def exported(tmp_path_factory, checkpoint_of):
    """`exported(model, *options)`: its folder, made once for each set of options."""
    made = {}

    def find(model, *options):
        if (model, options) not in made:
            folder = tmp_path_factory.mktemp("exported") / "detector"
            words = ["--ckpt_path", checkpoint_of(model), "--output_folder", folder]
            with pytest.MonkeyPatch.context() as patch:
                if model == LARGE:
                    patch.setattr("models.export.onnx_graph.EXTERNAL_ABOVE", 1000)
                    patch.setattr("models.export.onnx_int8.EXTERNAL_ABOVE", 1000)
                status, screen = run_main("export", model, *words, "--license=apache-2.0", *options)
            assert status == 0, screen
            made[model, options] = folder
        return made[model, options]

    return find


@pytest.fixture
def load(checkpoint_of):
    """`load(model)`: the detector that was exported."""
    return lambda model: load_detector(model, checkpoint_of(model))[0]
