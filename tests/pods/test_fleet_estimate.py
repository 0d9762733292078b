"""What is learned from earlier jobs, boots and pods."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.pods.fleet_estimate import Estimates, Run, health, left_s, pace, usual_s
from autopod_nb.pods.fleet_facts import Health


def _run(template: str, gpu: str, seconds: float, size: float = 1.0) -> Run:
    return Run(template=template, gpu=gpu, size=size, seconds=seconds)


def test_without_any_run_there_is_only_the_first_guess() -> None:
    assert Estimates([]).expected_s("video", "A40", guess_s=42.0) == 42.0


def test_one_run_is_better_than_a_guess() -> None:
    assert Estimates([_run("video", "A40", 30.0)]).expected_s("video", "A40", guess_s=500.0) == pytest.approx(30)


def test_a_run_that_took_much_longer_does_not_count() -> None:
    runs = [_run("video", "A40", seconds) for seconds in (30, 31, 400, 29, 30)]
    assert Estimates(runs).expected_s("video", "A40") == pytest.approx(30)


def test_old_runs_are_forgotten() -> None:
    runs = [_run("video", "A40", 100.0)] * 30 + [_run("video", "A40", 50.0)] * 12
    assert Estimates(runs).expected_s("video", "A40") == pytest.approx(50)


def test_a_job_of_another_size_takes_in_proportion() -> None:
    estimates = Estimates([_run("video", "A40", 30.0, size=100)])
    assert estimates.expected_s("video", "A40", 200) == pytest.approx(60)


def test_how_time_grows_with_size_is_learned() -> None:
    square = Estimates([_run("video", "A40", size**2 / 100, size=size) for size in (10, 20, 40, 80)])
    assert square.expected_s("video", "A40", 160) == pytest.approx(256)
    flat = Estimates([_run("video", "A40", 50.0, size=size) for size in (10, 20, 40, 80)])
    assert flat.expected_s("video", "A40", 160) == pytest.approx(50)


def test_another_gpu_counts_as_equally_fast_until_something_ran_on_both() -> None:
    runs = [_run("video", "A40", 60.0)]
    assert Estimates(runs).expected_s("video", "H100") == pytest.approx(60)
    runs += [_run("picture", "A40", 8.0), _run("picture", "H100", 2.0)]
    assert Estimates(runs).expected_s("video", "H100") == pytest.approx(15)


def test_gpus_that_share_no_template_are_compared_by_a_third() -> None:
    runs = [_run("a", "slow", 40.0), _run("a", "middle", 20.0), _run("b", "middle", 30.0), _run("b", "quick", 10.0)]
    estimates = Estimates([*runs, _run("c", "slow", 60.0)])
    assert estimates.ratio("quick", "slow") == pytest.approx(1 / 6)
    assert estimates.expected_s("c", "quick") == pytest.approx(10)
    assert estimates.ratio("quick", "unheard of") is None


def test_runs_that_say_nothing_do_no_harm() -> None:
    runs = [_run("video", "A40", 0.0), _run("video", "A40", 20.0, size=0), _run("video", "A40", 30.0)]
    assert Estimates(runs).expected_s("video", "A40") == pytest.approx(30)


def test_it_is_near_the_truth_after_a_few_runs() -> None:
    """Half of the estimates are off by less than 15 %, with noisy runs of sizes four times apart on two GPUs."""
    chance = random.Random(7)  # noqa: S311 - the same each time
    off = []
    for _ in range(60):
        growth, speed = chance.uniform(0.8, 1.4), chance.uniform(0.3, 3)
        sizes = [chance.uniform(1, 4) for _ in range(10)]
        runs = [_run("video", "A40", 20 * size**growth * chance.lognormvariate(0, 0.1), size) for size in sizes]
        runs += [_run("other", "A40", 10.0), _run("other", "H100", 10 / speed)]
        found = Estimates(runs).expected_s("video", "H100", 3.0)
        off.append(abs(found / (20 * 3.0**growth / speed) - 1))
    assert statistics.median(off) < 0.15


@given(st.lists(st.builds(
    Run,
    template=st.sampled_from("ab"),
    gpu=st.sampled_from("xyz"),
    size=st.floats(0.01, 1000),
    seconds=st.floats(0.01, 10000),
), max_size=12), st.floats(0.01, 1000))  # fmt: skip
def test_an_estimate_is_always_a_time(runs: list[Run], size: float) -> None:
    found = Estimates(runs).expected_s("a", "x", size)
    assert 0 < found < float("inf")


def test_boots_are_the_median_of_the_newest() -> None:
    assert usual_s([], 180.0) == 180.0
    assert usual_s([100.0, 90.0, 2000.0], 180.0) == 100.0


def test_what_is_late_is_expected_to_be_later_still() -> None:
    assert left_s(100.0, 20.0) == pytest.approx(80)
    rest = [left_s(100.0, elapsed_s) for elapsed_s in (100.0, 150.0, 300.0)]
    assert rest == sorted(rest)
    assert rest[0] > 0
    assert rest[-1] > 100.0, "by now a new one would be quicker"


def test_a_pod_counts_as_usual_until_it_has_shown_otherwise() -> None:
    assert pace([]) == 1.0
    assert 1.0 < pace([2.0]) < pace([2.0] * 3) < 2.0
    assert health([5.0]) is Health.WELL, "one run may be bad luck"
    assert health([2.4, 1.9]) is Health.SLOW
    assert health([2.4, 1.0, 1.1]) is Health.WELL
