"""Plans: each row once, within the limit, the same for ever; shares of the ranks."""

import itertools

import numpy as np
import pytest

from dataio.batching import (
    BatchPlan,
    bucket_borders,
    n_steps,
    rank_share,
    rows_within,
    scoring_batches,
)

LIMIT = 100.0


@pytest.fixture
def durations():
    rng = np.random.default_rng(3)
    return np.round(rng.lognormal(1.6, 0.6, 5000) + 0.3, 2).astype(np.float32)


def padded(batches, durations):
    """(K,) seconds the model computes for each batch."""
    return np.array([durations[batch].max() * len(batch) for batch in batches])


def as_lists(batches):
    return [batch.tolist() for batch in batches]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("clip_seconds", [None, 13.0])
def test_an_epoch_has_each_row_once_within_the_limit(durations, shuffle, clip_seconds):
    plan = BatchPlan(
        durations, max_batch_length=LIMIT, seed=1, shuffle=shuffle, clip_seconds=clip_seconds
    )
    counted = durations if clip_seconds is None else np.minimum(durations, 13)
    for epoch in range(3):
        batches = plan.epoch(epoch)
        assert sorted(itertools.chain(*as_lists(batches))) == list(range(len(durations)))
        assert padded(batches, counted).max() <= LIMIT
        assert len(batches) == len(plan)
        assert min(len(batch) for batch in batches) >= 1


@pytest.mark.slow  # SpeechBrain's import
def test_batches_are_fuller_and_less_padded_than_with_lognormal_borders(durations):
    from speechbrain.dataio.sampler import DynamicBatchSampler

    theirs = DynamicBatchSampler(
        list(range(len(durations))), LIMIT, 20, lengths_list=durations.tolist()
    )
    ours = BatchPlan(durations, max_batch_length=LIMIT, seed=1).epoch(0)
    assert padded(ours, durations).sum() < padded(list(theirs), durations).sum()
    assert len(ours) <= len(theirs)


def test_an_epoch_is_a_function_of_seed_and_number(durations):
    def plan(seed):
        return BatchPlan(durations, max_batch_length=LIMIT, seed=seed)

    again = plan(7)
    again.epoch(5)  # what was asked before leaves no trace
    assert as_lists(plan(7).epoch(2)) == as_lists(again.epoch(2))
    assert as_lists(plan(7).epoch(2)) != as_lists(plan(7).epoch(3))
    assert as_lists(plan(7).epoch(2)) != as_lists(plan(8).epoch(2))


def test_a_resume_takes_up_at_a_position(durations):
    whole = as_lists(BatchPlan(durations, max_batch_length=LIMIT, seed=1).epoch(4))
    resumed = BatchPlan(durations, max_batch_length=LIMIT, seed=1).epoch(4)
    assert [resumed.batch(k).tolist() for k in range(30, len(resumed))] == whole[30:]


def test_the_order_of_batches_does_not_go_by_length(durations):
    batches = BatchPlan(durations, max_batch_length=LIMIT, seed=1).epoch(0)
    longest = [durations[batch].max() for batch in batches]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.1


def test_without_shuffle_every_epoch_is_the_same(durations):
    plan = BatchPlan(durations, max_batch_length=LIMIT, seed=1, shuffle=False)
    assert as_lists(plan.epoch(0)) == as_lists(plan.epoch(1))


def test_a_row_over_the_limit_is_alone():
    durations = np.array([1, 500, 2, 101, 3, 100], np.float32)
    batches = BatchPlan(durations, max_batch_length=LIMIT, seed=0).epoch(0)
    assert [1] in as_lists(batches) and [3] in as_lists(batches) and [5] in as_lists(batches)


def test_batch_size_has_a_cap(durations):
    plan = BatchPlan(durations, max_batch_length=LIMIT, seed=0, max_batch_size=4)
    assert max(len(batch) for batch in plan.epoch(0)) == 4


@pytest.mark.parametrize("durations", [[], [1.0, np.nan], [np.inf]])
def test_a_plan_of_nothing_or_of_unknown_lengths_is_refused(durations):
    with pytest.raises(ValueError, match="known duration"):
        BatchPlan(np.array(durations), max_batch_length=LIMIT, seed=0)


@pytest.mark.parametrize("durations", [[3.0], [3.0] * 50, [0.5, 60.0], np.linspace(1, 2, 7)])
def test_small_and_even_data_have_plans(durations):
    batches = BatchPlan(np.array(durations), max_batch_length=LIMIT, seed=0).epoch(0)
    assert sorted(itertools.chain(*as_lists(batches))) == list(range(len(durations)))


def test_borders_are_where_padding_is_least():
    """Three lengths, three buckets: no padding at all; with two, the closest two lengths merge."""
    durations = np.repeat(np.array([2.0, 9.5, 10.0], np.float32), 100)
    assert bucket_borders(durations, 3).tolist() == [2.0, 9.5, 10.0]
    assert bucket_borders(durations, 2).tolist() == [2.0, 10.0]


def test_borders_beat_every_other_choice_of_borders():
    rng = np.random.default_rng(0)
    durations = rng.integers(1, 13, 300).astype(np.float32)

    def cost(borders):
        return np.asarray(borders)[np.searchsorted(borders, durations)].sum()

    others = (sorted({*rest, 12.0}) for rest in itertools.combinations(range(1, 12), 3))
    assert cost(bucket_borders(durations, 4)) == pytest.approx(min(map(cost, others)), rel=1e-6)


def test_rows_within_a_batch():
    assert rows_within(12.5, 100.0) == 8
    assert rows_within(12.6, 100.0) == 7
    assert rows_within(200.0, 100.0) == 1
    assert rows_within(1.0, 100.0, 16) == 16


def test_scoring_takes_the_longest_first_and_each_row_once(durations):
    batches = scoring_batches(durations, max_batch_length=LIMIT)
    assert sorted(itertools.chain(*as_lists(batches))) == list(range(len(durations)))
    longest = [durations[batch].max() for batch in batches]
    assert longest == sorted(longest, reverse=True)
    within = padded(batches, durations) <= LIMIT
    assert all(ok or len(batch) == 1 for ok, batch in zip(within, batches, strict=True))
    assert padded(batches, durations).sum() < 1.02 * durations.sum()


def test_scores_go_back_to_row_order(durations):
    scores = np.empty_like(durations)
    for batch in scoring_batches(durations, max_batch_length=LIMIT):
        scores[batch] = durations[batch]
    np.testing.assert_array_equal(scores, durations)


def test_rows_of_unknown_or_no_length_are_scored_too():
    durations = np.array([2.0, np.nan, 3.0, 0.0, np.nan], np.float32)
    batches = as_lists(scoring_batches(durations, max_batch_length=LIMIT, max_batch_size=8))
    assert batches == [[1], [4], [2, 0, 3]]
    assert as_lists(scoring_batches(durations[:0], max_batch_length=LIMIT)) == []


@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("n_batches", [0, 1, 7, 24])
def test_ranks_share_all_batches_once(world, n_batches):
    shares = [rank_share(n_batches, rank, world) for rank in range(world)]
    assert sorted(itertools.chain(*shares)) == list(range(n_batches))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("world, accumulation", [(1, 4), (2, 2), (4, 1)])
def test_an_epoch_has_as_many_steps_however_many_ranks_take_them(world, accumulation):
    assert n_steps(10, world=world, accumulation=accumulation) == 3  # the last one is short
    assert n_steps(8, world=world, accumulation=accumulation) == 2
    assert n_steps(0, world=world, accumulation=accumulation) == 0
