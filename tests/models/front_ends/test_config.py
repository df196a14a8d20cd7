"""The table of front ends: what the models share, and the refusals."""

import pytest

from dataio.schema import UserError
from models.front_ends.config import (
    CONFIGS,
    CONV_KERNELS,
    HOP,
    RECEPTIVE_FIELD,
    TINY_MODELS,
    frame_count,
    get_config,
)


def test_hop_is_the_product_of_the_strides():
    product = 1
    for _, stride in CONV_KERNELS:
        product *= stride
    assert product == HOP == 320


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (399, 0), (400, 1), (719, 1), (720, 2), (16_000, 49)]
)
def test_frames_of_known_lengths(samples, frames):
    assert frame_count(samples) == frames
    assert RECEPTIVE_FIELD == 400


def test_tiny_models_cover_both_norms_both_orders_and_both_families():
    tiny = [CONFIGS[name] for name in TINY_MODELS]
    assert {config.conv_norm for config in tiny} == {"group", "layer"}
    assert {config.conv_bias for config in tiny} == {True, False}
    assert {config.pre_norm for config in tiny} == {True, False}
    assert {config.family for config in tiny} == {"wav2vec2", "hubert"}


def test_only_tiny_models_start_from_random_weights():
    without = {name for name, config in CONFIGS.items() if config.pretraining_file is None}
    assert without == set(TINY_MODELS)
    for config in CONFIGS.values():
        assert (config.pretraining_file is None) == (config.pretraining_source is None)


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="unknown model .w2v_smal. to .* native.*: .*w2v_small"):
        get_config("w2v_smal")


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(UserError, match="unknown front-end option 'layer_drop' for model w2v_tiny"):
        get_config("w2v_tiny").with_overrides(layer_drop=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"conv_bias": True}, "exclude each other"), ({"embed_dim": 96}, "must differ")],
)
def test_combinations_that_no_engine_has_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        get_config("w2v_tiny").with_overrides(**changes)
