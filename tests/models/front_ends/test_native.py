"""The native front ends against what is known of the published ones."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.detector import build_detector
from models.front_ends.config import CONFIGS, TINY_MODELS
from models.front_ends.native import TransformerLayer

# Names and shapes of each published state dict; a transformer block's once for all its copies.
PUBLISHED = json.loads((Path(__file__).parents[1] / "data" / "state_dicts.json").read_text())


def published_shapes(entry):
    blocks = {
        f"m_ssl.model.encoder.layers.{index}.{name}": shape
        for index in range(entry["layers"])
        for name, shape in entry["each_layer"].items()
    }
    return {**entry["others"], **blocks}


@pytest.mark.parametrize("name", PUBLISHED)
def test_state_dict_has_the_published_names_shapes_and_parameter_count(name):
    with torch.device("meta"):
        detector = build_detector(name)
    shapes = {key: list(tensor.shape) for key, tensor in detector.state_dict().items()}
    assert shapes == published_shapes(PUBLISHED[name])
    assert sum(p.numel() for p in detector.parameters()) == PUBLISHED[name]["parameters"]


def test_every_model_but_the_tiny_ones_is_held_against_the_published():
    assert set(PUBLISHED) == set(CONFIGS) - set(TINY_MODELS) - {"xlsr_300m"}


def test_xlsr_300m_has_the_shapes_of_mms_300m():
    names = ("name", "pretraining_file", "pretraining_source")
    one, other = (replace(CONFIGS[n], **dict.fromkeys(names)) for n in ("xlsr_300m", "mms_300m"))
    assert one == other


@pytest.mark.parametrize("name", TINY_MODELS)
def test_tiny_models_are_below_two_million_parameters(name):
    assert sum(p.numel() for p in build_detector(name).parameters()) < 2_000_000


def test_first_convolution_with_group_norm_is_the_two_in_sequence(detector, batch):
    """The folded product against torch's own convolution and group norm."""
    layer = detector("w2v_tiny").m_ssl.model.feature_extractor.conv_layers[0]
    conv, norm = layer._modules["0"], layer._modules["2"]
    waveforms, lengths = batch([8000, 8000], level=1.0)
    expected = torch.nn.functional.gelu(norm(conv(waveforms[:, None])))
    assert torch.allclose(layer(waveforms, lengths).mT, expected, atol=2e-5)


def test_group_norm_survives_an_output_that_hardly_varies(detector):
    """A 1 Hz drift under a convolution that sums to zero: the variance is far below eps."""
    layer = detector("w2v_tiny").m_ssl.model.feature_extractor.conv_layers[0]
    conv, norm = layer._modules["0"], layer._modules["2"]
    with torch.no_grad():
        conv.weight -= conv.weight.mean(2, keepdim=True)
    drift = torch.sin(torch.arange(16_000) / 16_000 * 6.283)[None]
    # Float64 is the judge: in float32 even torch's own answer is made of rounding errors here.
    expected = norm.double()(conv.double()(drift[:, None].double()))
    expected = torch.nn.functional.gelu(expected).float()
    conv.float(), norm.float()
    out = layer(drift, torch.tensor([16_000]))
    assert torch.allclose(out.mT, expected, atol=1e-3)


def test_positional_weight_is_kept_between_forwards_and_follows_its_parameters(detector):
    pos_conv = detector("w2v_tiny").m_ssl.model.encoder.pos_conv[0]
    with torch.no_grad():
        first = pos_conv.weight()
        assert pos_conv.weight() is first
        pos_conv.weight_g.mul_(2.0)
        assert torch.allclose(pos_conv.weight(), 2 * first)
    assert pos_conv.weight().requires_grad


def test_positional_weight_follows_tensors_that_replace_its_own(detector):
    module = detector("w2v_tiny")
    pos_conv = module.m_ssl.model.encoder.pos_conv[0]
    with torch.no_grad():
        first = pos_conv.weight().clone()
        doubled = {name: 2 * tensor for name, tensor in module.state_dict().items()}
        module.load_state_dict(doubled, assign=True)
        assert torch.allclose(pos_conv.weight(), 2 * first)


def test_a_detector_that_has_scored_can_be_copied(detector, batch):
    module = detector("w2v_tiny").eval()
    with torch.inference_mode():
        expected = module(*batch([4000])).logits
    copied = copy.deepcopy(module)
    assert torch.allclose(copied(*batch([4000])).logits, expected, atol=1e-6)
    copied(*batch([4000])).logits.sum().backward()


def test_layerdrop_skips_whole_blocks_in_training_only(detector, batch, monkeypatch):
    ran = []
    compute = TransformerLayer.compute
    monkeypatch.setattr(
        TransformerLayer, "compute", lambda self, *a: ran.append(self) or compute(self, *a)
    )
    module = detector("w2v_tiny", overrides={"layerdrop": 1.0})
    module.train()(*batch([4000]))
    assert not ran
    module.eval()(*batch([4000]))
    assert len(ran) == module.config.layers


def test_layerdrop_frequency_is_its_probability():
    from models.front_ends.kernels import draw_kept_layers

    generator = torch.Generator().manual_seed(0)
    kept = draw_kept_layers(100_000, 0.05, generator)
    assert abs(sum(kept) / 100_000 - 0.95) < 0.003  # 4 standard deviations


def test_a_skipped_block_has_gradients_of_exactly_zero(detector, batch):
    module = detector("w2v_tiny", overrides={"layerdrop": 1.0}).train()
    module(*batch([4000])).logits.sum().backward()
    for parameter in module.m_ssl.layers.parameters():
        assert parameter.grad is not None and not parameter.grad.any()


@pytest.mark.parametrize("name", TINY_MODELS)
def test_feature_grad_mult_scales_the_extractors_gradient_alone(name, detector, batch):
    def gradients(factor):
        module = detector(name, still=True, overrides={"feature_grad_mult": factor}).train()
        module(*batch([6000, 4000])).logits[:, 1].sum().backward()
        return {key: p.grad for key, p in module.named_parameters() if p.grad is not None}

    whole, tenth = gradients(1.0), gradients(0.1)
    for key, gradient in whole.items():
        factor = 0.1 if "feature_extractor" in key else 1.0
        assert torch.allclose(tenth[key], factor * gradient, rtol=1e-4, atol=1e-7), key
