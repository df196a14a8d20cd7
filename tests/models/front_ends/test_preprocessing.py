"""Waveforms on their way to a front end: level, length, silence."""

import pytest
import torch

from dataio.schema import UserError
from models.front_ends.preprocessing import Preprocessing, read_preprocessing


def test_a_file_is_cut_or_repeated_to_the_length_whatever_shares_its_batch():
    waveforms = torch.tensor([[1.0, 2, 3, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
    out, lengths, padded = Preprocessing(False, 5)(waveforms, torch.tensor([3, 6]), least=1)
    assert out.tolist() == [[1, 2, 3, 1, 2], [1, 2, 3, 4, 5]]
    assert lengths.tolist() == [5, 5] and not padded


def test_without_normalisation_the_level_stays_and_padding_is_silence():
    waveforms = torch.tensor([[4.0, 8, 99]])
    out, *_ = Preprocessing(False)(waveforms, torch.tensor([2]), least=1)
    assert out.tolist() == [[4, 8, 0]]


def test_what_is_repeated_is_normalised_as_the_front_end_sees_it():
    out, *_ = Preprocessing(True, 1000)(torch.rand(2, 300), None, least=1)
    torch.testing.assert_close(out.mean(1), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.square().mean(1), torch.ones(2), atol=1e-3, rtol=0)


def test_seconds_are_samples_at_16_khz():
    assert read_preprocessing({"input_seconds": 4.0375}, normalise=True).input_samples == 64_600


def test_the_level_is_the_front_ends_own_unless_it_is_said():
    assert not read_preprocessing({}, normalise=False).normalise
    assert read_preprocessing({"normalise": True}, normalise=False).normalise


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"normalise": "no"}, "normalise is 'no', expected True or False"),
        ({"input_samples": 2.5}, "input_samples is 2.5, expected a whole number above 0"),
        ({"input_samples": True}, "input_samples is True"),
        ({"input_seconds": 0}, "input_seconds is 0, expected a number above 0"),
        ({"input_seconds": "long"}, "input_seconds is 'long'"),
        ({"input_seconds": 4, "input_samples": 64_000}, "are both given"),
    ],
)
def test_an_option_of_another_kind_is_refused(options, words):
    with pytest.raises(UserError, match=words):
        read_preprocessing(options, normalise=True)
