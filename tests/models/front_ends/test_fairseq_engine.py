"""The two engines compute the same function, with the same drops in the same places."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from models.detector import build_detector
from models.front_ends.config import CONFIGS, TINY_MODELS

pytestmark = pytest.mark.needs("fairseq")
FULL_SIZE = pytest.param("w2v_small", marks=pytest.mark.slow)
LENGTHS = [12_000, 7_321, 400, 9_999]


@pytest.fixture
def pair(detector):
    def make(name, **options):
        return [detector(name, engine=engine, **options) for engine in ("native", "fairseq")]

    return make


@pytest.mark.parametrize("mask_padding", [True, False])
@pytest.mark.parametrize("name", [*TINY_MODELS, FULL_SIZE])
def test_logits_and_embeddings_agree(name, mask_padding, pair, batch):
    native, fairseq = (d.eval() for d in pair(name, mask_padding=mask_padding))
    with torch.no_grad():
        ours, theirs = native(*batch(LENGTHS)), fairseq(*batch(LENGTHS))
    assert torch.allclose(ours.logits, theirs.logits, rtol=0, atol=1e-4)
    assert torch.allclose(ours.embedding, theirs.embedding, rtol=0, atol=1e-4)


def relative_gradient_errors(ours, theirs):
    """Norm of the difference over the norm of the reference, a parameter.

    A key's bias moves all scores of a query alike, which softmax ignores: its gradient is zero but
    for rounding, so it is measured against the gradient of the query's bias.
    """
    errors = {}
    for name, reference in theirs.items():
        scale = theirs[name.replace("k_proj.bias", "q_proj.bias")].norm()
        errors[name] = float((ours[name] - reference).norm() / scale)
    return errors


@pytest.mark.parametrize("name", [*TINY_MODELS, FULL_SIZE])
def test_gradients_agree_in_training_with_the_random_drops_off(name, pair, batch):
    gradients = []
    for module in pair(name, still=True, overrides={"feature_grad_mult": 0.1}):
        loss = F.cross_entropy(module.train()(*batch(LENGTHS)).logits, torch.tensor([0, 1, 1, 0]))
        loss.backward()
        gradients.append({k: p.grad for k, p in module.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    errors = relative_gradient_errors(*gradients)
    assert max(errors.values()) < 1e-4, sorted(errors.items(), key=lambda item: -item[1])[:3]


DROPS = {
    "dropout": 0.11,
    "attention_dropout": 0.12,
    "activation_dropout": 0.13,
    "dropout_input": 0.14,
    "layerdrop": 0.0,
}


@pytest.mark.parametrize("name", TINY_MODELS)
def test_dropout_acts_in_the_same_places_in_the_same_order(name, pair, batch, monkeypatch):
    """Every dropout call is noted with its rate, width and the sum of what it is given."""
    calls = []
    attention = F.scaled_dot_product_attention

    def noted_dropout(x, p=0.5, training=True, inplace=False):
        if training and p:
            calls.append((p, x.numel(), x.shape[-1], float(x.detach().square().sum())))
        return x

    def noted_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False):
        calls.append((dropout_p, query.numel(), query.shape[-1], 0.0))
        return attention(query, key, value, attn_mask, 0.0, is_causal)

    monkeypatch.setattr(F, "dropout", noted_dropout)
    monkeypatch.setattr(F, "scaled_dot_product_attention", noted_attention)
    noted = []
    for module in pair(name, overrides=DROPS):
        module.train()(*batch([6480, 6480]))  # 20 frames: fairseq pads odd counts by one
        noted.append(list(calls))
        calls.clear()
    ours, theirs = noted
    assert [call[:3] for call in ours] == [call[:3] for call in theirs]
    assert {call[0] for call in ours} == set(DROPS.values()) - {0.0}
    torch.testing.assert_close(
        torch.tensor([call[3] for call in ours]),
        torch.tensor([call[3] for call in theirs]),
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize("name", TINY_MODELS)
def test_layerdrop_skips_the_same_blocks_for_the_same_draws(name, pair, batch, monkeypatch):
    draws = [0.9, 0.2, 0.7]
    one_by_one = iter(draws)
    monkeypatch.setattr("numpy.random.random", lambda: next(one_by_one))
    monkeypatch.setattr(
        "models.front_ends.kernels.torch.rand", lambda *_, **__: torch.tensor(draws)
    )
    native, fairseq = pair(name, still=True, overrides={"layerdrop": 0.5})
    logits = [module.train()(*batch(LENGTHS)).logits for module in (native, fairseq)]
    assert torch.allclose(*logits, atol=1e-4)
    logits[0][:, 1].sum().backward()
    logits[1][:, 1].sum().backward()
    for module in (native, fairseq):
        ran = [bool(layer.fc1.weight.grad.any()) for layer in module.m_ssl.layers]
        assert ran == [True, False, True]
        assert all(p.grad is not None for p in module.detection_parameters())


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_state_dict_moves_between_the_engines(name):
    native, fairseq = build_detector(name), build_detector(name, engine="fairseq")
    assert list(native.state_dict()) == list(fairseq.state_dict())
    native.load_state_dict(fairseq.state_dict())
    fairseq.load_state_dict(native.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CONFIGS) - set(TINY_MODELS)))
def test_full_size_engines_have_the_same_tensors(name):
    from torch._subclasses.fake_tensor import FakeTensorMode

    with torch.device("meta"):
        native = build_detector(name)
    with FakeTensorMode():  # fairseq's initialisation copies to the CPU, which meta cannot
        fairseq = build_detector(name, engine="fairseq")
    shapes = [{k: v.shape for k, v in d.state_dict().items()} for d in (native, fairseq)]
    assert shapes[0] == shapes[1]
    trained = [{k for k, p in d.named_parameters() if p.requires_grad} for d in (native, fairseq)]
    assert trained[0] == trained[1]


@pytest.mark.parametrize("name", TINY_MODELS)
def test_recomputing_activations_changes_no_gradient(name, detector, batch):
    def gradients(recompute):
        module = detector(name, still=True, engine="fairseq").train()
        module.set_activation_checkpointing(True)
        module.set_activation_checkpointing(recompute)
        module(*batch([6000, 4000])).logits[:, 1].sum().backward()
        return [p.grad for p in module.detection_parameters()]

    for plain, recomputed in zip(gradients(False), gradients(True), strict=True):
        assert torch.allclose(plain, recomputed, atol=1e-6)


@pytest.mark.slow
def test_building_prints_nothing():
    code = (
        "from models.detector import build_detector\n"
        "for name in ('w2v_tiny', 'hubert_tiny'): build_detector(name, engine='fairseq')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
