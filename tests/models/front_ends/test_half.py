"""Half precision: what is copied from type to type, and that scores move by rounding alone."""

import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from models.precision import autocast, is_half, round_weights

NAMES = ("xlsr_tiny", "w2v_tiny", "hubert_tiny")


class Casts(TorchDispatchMode):
    """Counts copies of a tensor to another type of float, and the bytes they move."""

    def __init__(self):
        super().__init__()
        self.count = self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if function.name().startswith("aten::_to_copy") and args[0].dtype != out.dtype:
            self.count += args[0].is_floating_point()
            self.bytes += args[0].nbytes + out.nbytes
        return out


def casts_of(module, waveforms, lengths, precision):
    with torch.no_grad(), autocast("cpu", precision), Casts() as casts:
        logits = module(waveforms, lengths).logits
    return logits, casts


@pytest.mark.parametrize("precision, near", [("fp16", 1e-3), ("bf16", 6e-3)])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_moves_a_logit_by_its_own_rounding(name, precision, near, detector, batch):
    module = detector(name).eval()
    waveforms, lengths = batch([48000, 40000, 9000])
    with torch.no_grad():
        exact = module(waveforms, lengths).logits
    logits, _ = casts_of(module, waveforms, lengths, precision)
    assert torch.allclose(logits, exact, atol=near)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_weights_rounded_once_give_the_same_scores_with_fewer_casts(precision, detector, batch):
    module = detector("xlsr_tiny").eval()
    waveforms, lengths = batch([30000, 20000])
    before, many = casts_of(module, waveforms, lengths, precision)
    round_weights(module, precision)
    after, few = casts_of(module, waveforms, lengths, precision)
    assert torch.equal(before, after)
    assert (few.count < many.count) == is_half(precision)


def test_one_mask_made_once_is_ready_for_every_layer(detector, batch):
    module, masks = detector("xlsr_tiny").eval(), []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function is F.scaled_dot_product_attention:
                masks.append((kwargs["attn_mask"], args[0].dtype))
            return function(*args, **(kwargs or {}))

    for precision in ("fp32", "bf16"):
        with torch.no_grad(), autocast("cpu", precision), Watch():
            module(*batch([48000, 20001]))
    assert len(masks) == 2 * module.config.layers
    assert len({mask.data_ptr() for mask, _ in masks[: module.config.layers]}) == 1
    for mask, dtype in masks:
        assert mask.dtype == dtype and mask.stride(-1) == 1
        assert all(stride % 8 == 0 for stride in mask.stride()[:-1])  # as the kernels want them
        assert set(mask.unique().tolist()) == {0.0, -torch.inf}
