"""Losses in closed form, and what draws tend to. (Published answers: test_known_answers.py.)"""

import pytest
import torch
import torch.nn.functional as F

from dataio.schema import UserError
from models.heads.losses import build_loss, cross_entropy, draw, grpo, grpo_s, oc_softmax

LOGITS = torch.tensor([[0.3, -0.2], [1.5, 2.0], [-1.0, 0.4], [0.0, 0.9]], dtype=torch.float64)
REFERENCE = torch.tensor([[0.1, 0.2], [1.0, 2.5], [0.0, 0.0], [0.4, -0.9]], dtype=torch.float64)
LABELS = torch.tensor([0, 1, 1, 0])


def test_class_weights_scale_the_loss_of_their_files():
    plain = cross_entropy(LOGITS, LABELS)
    weighted = cross_entropy(LOGITS, LABELS, class_weights=[0.1, 0.9])
    torch.testing.assert_close(weighted, plain * torch.tensor([0.1, 0.9, 0.9, 0.1]))


def test_label_smoothing_takes_its_share_from_the_other_class():
    soft = cross_entropy(LOGITS, LABELS, label_smoothing=0.2)
    logs = F.log_softmax(LOGITS, 1)
    right, wrong = logs.gather(1, LABELS[:, None]), logs.gather(1, 1 - LABELS[:, None])
    torch.testing.assert_close(soft, -(0.9 * right + 0.1 * wrong)[:, 0])


def test_oc_softmax_at_its_margins_is_log_two():
    logits = torch.tensor([[-0.45, 0.45], [-0.1, 0.1]], dtype=torch.float64)
    losses = oc_softmax(logits, torch.tensor([1, 0]))
    torch.testing.assert_close(losses, torch.full((2,), 2.0, dtype=torch.float64).log())


@pytest.mark.parametrize("name", ["grpo", "grpo_s"])
def test_many_draws_tend_to_the_exact_expectation(name):
    old = REFERENCE.roll(1, 0)

    def gradient(samples, seed=0):
        logits = LOGITS.clone().requires_grad_()
        generator = torch.Generator().manual_seed(seed)
        draws = draw(logits, LABELS, samples=samples, generator=generator)
        if name == "grpo_s":
            loss = grpo_s(logits, REFERENCE, draws, beta=0.04)
        else:
            loss = grpo(logits, REFERENCE, draws, beta=0.04, old=old, epsilon=0.2)
        return torch.autograd.grad(loss.mean(), logits)[0]

    exact = gradient("exact")
    torch.testing.assert_close(gradient(200_000), exact, atol=2e-3, rtol=0)
    few = torch.stack([gradient(64, seed) for seed in range(200)])
    error = few.std(0) / len(few) ** 0.5
    assert ((few.mean(0) - exact).abs() < 4 * error + 2e-3).all()


def test_the_policy_gradient_moves_towards_the_right_labels():
    logits = LOGITS.clone().requires_grad_()
    draws = draw(logits, LABELS, samples="exact")
    grpo_s(logits, LOGITS, draws, beta=0.0).mean().backward()
    towards = -logits.grad.gather(1, LABELS[:, None])
    assert (towards > 0).all()


def test_a_policy_that_is_its_reference_pays_no_divergence():
    draws = draw(LOGITS, LABELS, samples="exact")
    free, paying = (grpo_s(LOGITS, LOGITS, draws, beta=beta) for beta in (0.0, 1.0))
    torch.testing.assert_close(free, paying)


def test_draws_that_all_agree_with_their_labels_have_no_advantage():
    sure = torch.tensor([[50.0, -50.0], [-50.0, 50.0]])
    draws = draw(sure, torch.tensor([0, 1]), samples=8)
    assert draws.advantages.abs().max() == 0


@pytest.mark.parametrize(
    "spec, last, words",
    [
        ({"name": "focal"}, "linear", "unknown loss 'focal': choose one of cross_entropy"),
        ({"gamma": 2}, "linear", "unknown option 'gamma' of loss cross_entropy"),
        ({"class_weights": [1]}, "linear", "expected two numbers"),
        ({"label_smoothing": True}, "linear", "expected a number from 0 up"),
        ({"name": "oc_softmax"}, "linear", "oc_softmax does not go with a head"),
        ({}, "cosine", "cross_entropy does not go with a head"),
    ],
)
def test_a_loss_that_is_not_known_or_does_not_fit_is_refused(spec, last, words):
    with pytest.raises(UserError, match=words):
        build_loss(spec, last=last)
