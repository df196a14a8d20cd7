"""Audio, weights and engines for the tests of the front ends."""

import pytest
import torch

from models.detector import build_detector

RANDOM_DROPS = ("dropout", "attention_dropout", "activation_dropout", "layerdrop", "dropout_input")


@pytest.fixture(autouse=True)
def repeatable():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A detector checkpoint of random weights whose scores spread."""
    torch.manual_seed(0)
    detector = build_detector("w2v_tiny")
    with torch.no_grad():
        detector.proj_fc.weight.mul_(20)
    path = tmp_path_factory.mktemp("weights") / "tiny.ckpt"
    torch.save(detector.state_dict(), path)
    return path


@pytest.fixture
def batch():
    """`batch(lengths) -> (waveforms (B, T), lengths (B,))`: noise with an envelope, zero-padded."""

    def make(lengths, *, seed=0, level=0.1):
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.tensor(lengths)
        size = int(lengths.max())
        x = torch.randn(len(lengths), size, generator=generator)
        x = level * x * (1.2 + torch.sin(torch.arange(size) / 900.0))
        return x * (torch.arange(size) < lengths[:, None]), lengths

    return make


@pytest.fixture
def detector():
    """`detector(name, **options)`: random weights, every norm and bias off its one or zero.

    `still=True` turns the random drops off. The same name always has the same weights, whatever
    the engine.
    """

    def make(name, *, still=False, overrides=None, **options):
        drops = dict.fromkeys(RANDOM_DROPS, 0.0) if still else {}
        torch.manual_seed(1)
        native = build_detector(name)
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for tensor_name, parameter in native.named_parameters():
                if parameter.ndim == 1 or tensor_name.endswith("weight_g"):
                    parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        made = build_detector(name, overrides={**drops, **(overrides or {})}, **options)
        made.load_state_dict(native.state_dict())
        return made

    return make
