"""Which arithmetic a precision stands for, whatever was set before it."""

import pytest
import torch

from models.precision import as_computed, autocast


@pytest.fixture(autouse=True)
def flags_restored():
    before = flags()
    yield
    set_flags(*before)


def flags() -> tuple[bool, bool, bool]:
    """TF32 in products of matrices, in convolutions, and cuDNN's attention."""
    cuda = torch.backends.cuda
    return cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, cuda.cudnn_sdp_enabled()


def set_flags(matmul: bool, convolution: bool, attention: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = matmul
    torch.backends.cudnn.allow_tf32 = convolution
    torch.backends.cuda.enable_cudnn_sdp(attention)


@pytest.mark.parametrize("before", [(False, True, True), (True, True, True), (False, False, False)])
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_a_precision_says_what_libraries_would_each_choose(precision, before):
    set_flags(*before)
    with autocast("cpu", precision):
        assert flags() == (precision == "tf32", precision == "tf32", False)


def test_the_backward_pass_has_the_arithmetic_of_its_forward():
    training, validation = autocast("cpu", "tf32"), autocast("cpu", "fp32")
    for context, allowed in ((training, True), (validation, False), (training, True)):
        with context:
            pass
        assert flags() == (allowed, allowed, False)


def test_speechbrain_does_not_decide_it():
    from speechbrain.utils.quirks import allow_tf32

    with autocast("cpu", "fp32"):
        pass
    allow_tf32()
    with autocast("cpu", "fp32"):
        assert flags() == (False, False, False)


def test_tf32_is_recorded_where_there_is_one():
    told = [as_computed(name, device) for name in ("tf32", "bf16") for device in ("cpu", "cuda:1")]
    assert told == ["fp32", "tf32", "bf16", "bf16"]
