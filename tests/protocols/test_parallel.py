"""The stream of jobs: in order, no further ahead than needed, and honest about a dead worker."""

import os
import time

import pandas
import pytest

from dataio.schema import UserError
from protocols.parallel import JOBS_UNDER_WAY, apply_to_column, map_in_order, worker_count


def slow_for_even(number):
    time.sleep(0.02 * (number % 2 == 0))
    return number * number


def die(number):
    os._exit(3)


def jobs(count, taken):
    for number in range(count):
        taken.append(number)
        yield f"job {number}", number


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers):
    found = list(map_in_order(slow_for_even, jobs(20, []), workers=workers))
    assert found == [(f"job {n}", n * n) for n in range(20)]


@pytest.mark.needs("workers")
def test_jobs_are_taken_only_as_far_ahead_as_the_window():
    taken = []
    stream = map_in_order(slow_for_even, jobs(1000, taken), workers=2)
    next(stream)
    assert len(taken) <= 2 * JOBS_UNDER_WAY + 2
    stream.close()
    assert len(taken) <= 2 * JOBS_UNDER_WAY + 2


@pytest.mark.needs("workers")
def test_a_worker_that_dies_is_a_sentence():
    with pytest.raises(UserError, match="--workers 1"):
        list(map_in_order(die, jobs(5, []), workers=2))


def test_an_error_in_a_worker_comes_out():
    with pytest.raises(TypeError):
        list(map_in_order(len, jobs(5, []), workers=2))


def test_a_column_by_pandarallel_is_the_column_by_pandas():
    column = pandas.Series(range(50))
    shared = apply_to_column(column, slow_for_even, workers=2)
    assert shared.equals(column.apply(slow_for_even))


def test_the_number_of_workers_is_as_asked_or_one_a_core():
    assert worker_count(3) == 3
    assert worker_count(None) >= 1
    with pytest.raises(UserError):
        worker_count(0)
