"""The list: its order, probabilities, groups, seeds and refusals; what is off stays off."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from augment import batched, build, rawboost
from dataio.schema import UserError

QUIET = {"name": "gain", "gain_db": -20}
LOUD = {"name": "gain", "gain_db": 20}
CLIP = {"name": "clipping", "percent": 50}


def waveform(length=4_000):
    return (0.1 * np.random.default_rng(0).standard_normal(length)).astype(np.float32)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_without_any_request_the_waveform_comes_back_untouched():
    augmentation = build(None)
    same = waveform()
    assert augmentation(same, rng()) is same


def test_rawboost_alone_is_what_the_published_block_means():
    draw = rawboost.RawBoost.from_yaml({"algo": 5}).draw(4_000, rng(3))
    expected = rawboost.apply(waveform(), draw)
    np.testing.assert_array_equal(build({"algo": 5})(waveform(), rng(3)), expected)


def test_effects_are_applied_in_the_order_of_the_list():
    noise = {"name": "rawboost", "algo": 3}
    first = build(None, [{**noise}, CLIP])(waveform(), rng())
    last = build(None, [CLIP, {**noise}])(waveform(), rng())
    assert np.mean(np.abs(first) == np.abs(first).max()) > 0.4  # flattened last: flat tops
    assert np.mean(np.abs(last) == np.abs(last).max()) < 0.01


def test_an_effect_happens_with_its_probability():
    augmentation = build(None, [{**QUIET, "probability": 0.3}])
    loud = waveform()
    happened = [augmentation(loud, rng(seed)) is not loud for seed in range(1_000)]
    assert np.mean(happened) == pytest.approx(0.3, abs=0.05)
    never = build(None, [{**QUIET, "probability": 0}])
    assert all(never(loud, rng(seed)) is loud for seed in range(50))


def test_one_of_takes_exactly_one_by_weight():
    group = {"one_of": [{**QUIET, "weight": 3}, LOUD, {**CLIP, "weight": 0}], "probability": 0.5}
    augmentation = build(None, [group])
    norms = np.array([np.linalg.norm(augmentation(waveform(), rng(seed))) for seed in range(2_000)])
    ratios = np.round(norms / np.linalg.norm(waveform()), 2)
    values, counts = np.unique(ratios, return_counts=True)
    assert list(values) == [0.1, 1.0, 10.0]
    np.testing.assert_allclose(counts / 2_000, [0.375, 0.5, 0.125], atol=0.04)


def test_the_same_generator_state_gives_the_same_output():
    augmentation = build({"algo": 4}, [CLIP, {"name": "codec", "codec": ["g722", "g711_alaw"]}])
    first, again, other = (augmentation(waveform(), rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_nothing_depends_on_the_global_generators():
    import torch

    augmentation = build({"algo": 4}, [CLIP, {"name": "speed"}, {"name": "band_mask"}])
    outputs = []
    for seed in (0, 99):
        np.random.seed(seed)
        torch.manual_seed(seed)
        outputs.append(augmentation(waveform(), rng(1)))
    np.testing.assert_array_equal(*outputs)


def test_an_augmentation_and_its_draws_cross_to_loader_workers():
    augmentation = build({"algo": 4}, [CLIP, {"one_of": [QUIET, LOUD]}])
    copy = pickle.loads(pickle.dumps(augmentation))
    np.testing.assert_array_equal(copy(waveform(), rng(5)), augmentation(waveform(), rng(5)))
    row, draw = augmentation.split(waveform(), rng(5))
    returned = pickle.loads(pickle.dumps(draw))
    np.testing.assert_array_equal(rawboost.apply(row, returned), rawboost.apply(row, draw))


def test_split_and_the_batched_form_together_give_what_a_loader_alone_gives():
    import torch

    augmentation = build({"algo": 4}, [{**CLIP, "probability": 0.5}])
    rows = [waveform(length) for length in (4_000, 2_500)]
    expected = [augmentation(row, rng(seed)) for seed, row in enumerate(rows)]
    halves = [augmentation.split(row, rng(seed)) for seed, row in enumerate(rows)]
    batch = torch.zeros(2, 4_000)
    for index, (row, _) in enumerate(halves):
        batch[index, : row.size] = torch.from_numpy(row)
    finished = batched.apply(batch, [draw for _, draw in halves]).numpy()
    for got, want in zip(finished, expected, strict=True):
        assert np.abs(got[: want.size] - want).max() <= 1e-5


@pytest.mark.parametrize(
    ("augmentations", "words"),
    [
        ([{"name": "reverb"}], "entry 1: unknown augmentation 'reverb'; the names are band_mask, "),
        ([QUIET, {"codec": "mp3"}], "entry 2: unknown augmentation None"),
        (["mp3"], "entry 1 is 'mp3'; give a mapping"),
        ([{"name": ["gain"]}], "entry 1: unknown augmentation ['gain']; the names are band_mask, "),
        ([{"one_of": []}], "one_of is []; give a list"),
        ([{"one_of": [QUIET, "mp3"]}], "one_of: unknown augmentation None"),
        ([{"one_of": [QUIET], "name": "x"}], "unknown key 'name'"),
        ([{"one_of": [{**QUIET, "probability": 0.5}]}], "take weight, not probability"),
        ([{"one_of": [{**QUIET, "weight": 0}]}], "every weight is 0"),
        ([{**QUIET, "weight": 2}], "weight is for members of one_of"),
        ([{**QUIET, "probability": 1.5}], "probability is 1.5; give a number from 0 to 1"),
        ([{"name": "rawboost", "algo": 11}], "algo is 11"),
    ],
)
def test_lists_that_cannot_be_are_refused_by_name(augmentations, words):
    with pytest.raises(UserError) as refusal:
        build(None, augmentations)
    assert words in str(refusal.value)


def test_a_mapping_in_place_of_the_list_is_refused():
    with pytest.raises(UserError, match="augmentations is .* give a list"):
        build(None, {"name": "gain"})


def test_importing_augment_imports_nothing_heavy():
    code = (
        "import sys, augment; print([m for m in ('torch', 'av', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
