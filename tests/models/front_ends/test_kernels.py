"""The shared arithmetic against torch's own and against derivations."""

import pytest
import torch
import torch.nn.functional as F

from models.front_ends.kernels import (
    ScaledGradient,
    ZeroGradient,
    gelu,
    linear,
    linear_gelu,
    normalise_waveforms,
    strided_conv,
    valid_mask,
)


def test_valid_mask_counts_from_the_front():
    mask = valid_mask(torch.tensor([0, 2, 3]), 3)
    assert mask.tolist() == [[False] * 3, [True, True, False], [True] * 3]


def test_waveforms_are_layer_normalised_over_their_own_length():
    waveforms = 0.03 * torch.randn(2, 1000) + 0.2
    lengths = torch.tensor([1000, 600])
    out = normalise_waveforms(waveforms, lengths)
    for row, length in enumerate(lengths):
        expected = F.layer_norm(waveforms[row, :length], (int(length),))
        assert torch.allclose(out[row, :length], expected, atol=1e-5)
    assert not out[1, 600:].any()


def test_what_lies_in_the_padding_is_never_read():
    waveforms = torch.randn(1, 100)
    waveforms[0, 50:] = torch.nan
    out = normalise_waveforms(waveforms, torch.tensor([50]))
    assert out.isfinite().all()


def test_silence_stays_silence():
    assert not normalise_waveforms(torch.zeros(1, 500), torch.tensor([500])).any()


def gradients(function, *inputs):
    """The output of `function` and its gradients for a fixed random direction."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    out = function(*inputs)
    direction = torch.randn(out.shape, generator=torch.Generator().manual_seed(5))
    return out, *torch.autograd.grad((out * direction).sum(), inputs)


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(41, 3, 2), (40, 3, 2), (40, 2, 2), (9, 5, 3)]
)
def test_strided_conv_is_torchs_convolution_on_time_major_data(size, kernel, stride):
    inputs = torch.randn(2, size, 6), torch.randn(5, 6, kernel), torch.randn(5)
    ours = gradients(lambda x, w, b: strided_conv(x, w, b, stride), *inputs)
    theirs = gradients(lambda x, w, b: F.conv1d(x.mT, w, b, stride=stride).mT, *inputs)
    for mine, expected in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, expected, atol=1e-4)
    with torch.no_grad():
        assert torch.allclose(strided_conv(*inputs, stride), theirs[0], atol=1e-5)


def test_strided_conv_trains_with_a_frozen_input_and_under_autocast():
    x, weight = torch.randn(2, 20, 4), torch.randn(3, 4, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = strided_conv(x, weight, None, 2)
        assert out.dtype == torch.bfloat16
        out.sum().backward()
    expected = torch.autograd.grad(F.conv1d(x.mT, weight, stride=2).sum(), weight)[0]
    assert torch.allclose(weight.grad, expected, rtol=0.05, atol=0.2)


@pytest.mark.parametrize("shape", [(7, 4), (2, 7, 4), (1, 4), (1, 1, 4)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_and_its_gradients_are_torchs(shape, with_bias):
    inputs = [torch.randn(shape), torch.randn(5, 4), *([torch.randn(5)] if with_bias else [])]
    for function, reference in ((linear, F.linear), (linear_then_gelu, gelu_of_torchs_linear)):
        ours, theirs = gradients(function, *inputs), gradients(reference, *inputs)
        for mine, expected in zip(ours, theirs, strict=True):
            assert torch.allclose(mine, expected, atol=1e-5)
        with torch.no_grad():
            assert torch.allclose(function(*inputs), theirs[0], atol=1e-5)


def test_gradients_that_are_expanded_or_strided_are_taken():
    x, weight = torch.randn(6, 4), torch.randn(5, 4)
    for direction in (torch.ones(()).expand(6, 5), torch.randn(6, 10)[:, ::2]):
        inputs = [t.clone().requires_grad_() for t in (x, weight)]
        ours = torch.autograd.grad(linear(*inputs), inputs, direction)
        theirs = torch.autograd.grad(F.linear(*inputs), inputs, direction)
        for mine, expected in zip(ours, theirs, strict=True):
            assert torch.allclose(mine, expected, atol=1e-5)


@pytest.mark.parametrize("trained", [0, 1, 2])
def test_any_one_of_input_weight_and_bias_may_be_the_only_one_to_train(trained):
    inputs = [torch.randn(6, 4), torch.randn(5, 4), torch.randn(5)]
    inputs[trained].requires_grad_()
    ours = torch.autograd.grad(linear(*inputs).square().sum(), inputs[trained])[0]
    theirs = torch.autograd.grad(F.linear(*inputs).square().sum(), inputs[trained])[0]
    assert torch.allclose(ours, theirs, atol=1e-5)


def linear_then_gelu(x, weight, bias=None):
    return linear_gelu(x, weight, bias)


def gelu_of_torchs_linear(x, weight, bias=None):
    return F.gelu(F.linear(x, weight, bias))


def test_linear_obeys_autocast():
    x, weight = torch.randn(3, 4), torch.randn(5, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16
        with torch.no_grad():
            assert linear_gelu(x, weight, None).dtype == torch.bfloat16


def test_gelu_keeps_its_input_while_gradients_are_recorded():
    x = torch.randn(10, requires_grad=True)
    before = x.detach().clone()
    assert torch.allclose(gelu(x), F.gelu(before))
    assert torch.equal(x, before)
    with torch.no_grad():
        assert torch.allclose(gelu(x.detach().clone()), F.gelu(before))


def test_scaled_gradient_is_the_identity_forwards():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    out = ScaledGradient.apply(x, 0.1)
    assert torch.equal(out, x)
    out.sum().backward()
    assert torch.allclose(x.grad, torch.full((2,), 0.1))


def test_zero_gradient_passes_the_first_argument_and_zeroes_the_rest():
    x, parameter = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    ZeroGradient.apply(x, parameter).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0] and parameter.grad.tolist() == [0.0] * 3
