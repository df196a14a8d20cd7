"""The batched form gives what each row alone gives, whatever the padding holds."""

import numpy as np
import pytest
import torch

from augment import batched
from augment.rawboost import DEFAULTS, SERIES, RawBoost, apply
from tests.augment.test_rawboost import LNL, speech_like

LENGTHS = (20_000, 400, 1, 7_531, 12_000)


def padded_batch(rows, filler):
    batch = torch.full((len(rows), max(map(len, rows)) + 100), filler)
    for index, row in enumerate(rows):
        batch[index, : len(row)] = torch.from_numpy(row)
    return batch


def assert_rows_equal(algo, device, block=None):
    rng = np.random.default_rng(algo)
    rows = [speech_like(length, seed, 0.4) for seed, length in enumerate(LENGTHS)]
    rows.append(np.zeros(9_000, np.float32))
    rawboost = RawBoost.from_yaml({"algo": algo, **(block or {})})
    draws = [rawboost.draw(len(row), rng) for row in rows]
    batch = padded_batch(rows, filler=3.0).to(device)
    augmented = batched.apply(batch, draws).cpu()
    assert augmented.shape == batch.shape and augmented.dtype == torch.float32
    for got, row, draw in zip(augmented.numpy(), rows, draws, strict=True):
        assert np.abs(got[: len(row)] - apply(row, draw)).max() <= 1e-5
        assert not got[len(row) :].any()


@pytest.mark.parametrize("algo", sorted(SERIES))
def test_each_row_comes_out_as_it_does_alone(algo):
    assert_rows_equal(algo, "cpu")


def test_longer_filters_need_no_other_code():
    assert_rows_equal(4, "cpu", {LNL: {**DEFAULTS[LNL], "maxCoeff": 500, "N_f": 3}})


@pytest.mark.needs("cuda")
@pytest.mark.parametrize("algo", sorted(SERIES))
def test_each_row_comes_out_as_it_does_alone_on_a_gpu(algo):
    assert_rows_equal(algo, "cuda")


def test_draws_of_two_algorithms_or_of_another_number_are_refused():
    rng = np.random.default_rng(0)
    one, five = (RawBoost.from_yaml({"algo": algo}).draw(500, rng) for algo in (1, 5))
    with pytest.raises(ValueError, match=r"algorithms \[1, 5\]"):
        batched.apply(torch.zeros(2, 500), [one, five])
    with pytest.raises(ValueError, match="1 draws .* for 2 rows"):
        batched.apply(torch.zeros(2, 500), [five])
