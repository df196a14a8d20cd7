"""The shared arithmetic against torch's own and against derivations."""

import torch
import torch.nn.functional as F

from models.kernels import (
    ScaledGradient,
    ZeroGradient,
    gelu,
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


def test_strided_conv_is_torchs_convolution_on_time_major_data():
    x, weight, bias = torch.randn(2, 41, 6), torch.randn(5, 6, 3), torch.randn(5)
    expected = F.conv1d(x.mT, weight, bias, stride=2).mT
    assert torch.allclose(strided_conv(x, weight, bias, 2), expected, atol=1e-5)


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
