"""What the fleet rule decides, in situations that a person would decide in the same way."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from autopod_nb.models.money import MoneyKind
from autopod_nb.pods.fleet import decide
from autopod_nb.pods.fleet_facts import (
    Aim,
    Decisions,
    Fleet,
    FleetJob,
    FleetOffer,
    FleetPod,
    Health,
    Stage,
)

_CHEAP = FleetOffer(offer_id="cheap", gpu="3090", vram_gb=24, price_per_hour_usd=Decimal("0.20"), boot_s=120.0)
_QUICK = FleetOffer(offer_id="quick", gpu="H100", vram_gb=80, price_per_hour_usd=Decimal("2.00"), boot_s=120.0)
_SECONDS = {"3090": 100.0, "H100": 25.0}


def _jobs(count: int, **fields: object) -> tuple[FleetJob, ...]:
    base = FleetJob(job_id="", seconds=_SECONDS)
    return tuple(replace(base, job_id=f"job{number}", **fields) for number in range(count))  # type: ignore[arg-type]


def _pod(name: str = "pod", **fields: object) -> FleetPod:
    base = FleetPod(
        pod_id=name, gpu="3090", vram_gb=24, price_per_hour_usd=Decimal("0.20"), stage=Stage.READY
    )  # fmt: skip
    return replace(base, **fields)  # type: ignore[arg-type]


def _fleet(jobs: tuple[FleetJob, ...] = (), *pods: FleetPod, **fields: object) -> Fleet:
    base = Fleet(jobs=jobs, pods=pods, offers=(_CHEAP, _QUICK), max_pods=10)
    return replace(base, **fields)  # type: ignore[arg-type]


def _started(done: Decisions) -> list[str]:
    return [start.offer_id for start in done.start]


def _given(done: Decisions) -> list[tuple[str, str]]:
    return [(given.job_id, given.pod_id) for given in done.assign]


def test_the_cheapest_way_is_one_pod_of_the_best_price() -> None:
    done = decide(_fleet(_jobs(20)))
    assert _started(done) == ["cheap"]
    assert done.cost_usd == Decimal("0.117778")  # a boot and twenty jobs
    assert done.finish_s == pytest.approx(120 + 2000)


def test_before_a_deadline_there_are_as_many_pods_as_it_takes() -> None:
    done = decide(_fleet(_jobs(20), aim=Aim.DEADLINE, deadline_left_s=700.0))
    assert _started(done) == ["cheap"] * 4, "each does five jobs in 620 s"
    assert done.finish_s <= 700


def test_a_quicker_gpu_is_taken_only_where_the_deadline_needs_it() -> None:
    done = decide(_fleet(_jobs(3), aim=Aim.DEADLINE, deadline_left_s=230.0))
    assert _started(done) == ["cheap"] * 3
    done = decide(_fleet(_jobs(3), aim=Aim.DEADLINE, deadline_left_s=200.0))
    assert _started(done) == ["quick"], "120 s of boot leave no time for 100 s of work"


def test_fastest_goes_as_far_as_the_budget() -> None:
    costs, ends = [], []
    for budget in ("0.15", "0.30", "2.00"):
        done = decide(_fleet(_jobs(20), aim=Aim.FASTEST, budget_left_usd=Decimal(budget)))
        assert done.cost_usd <= Decimal(budget)
        costs.append(done.cost_usd)
        ends.append(done.finish_s)
    assert ends == sorted(ends, reverse=True)
    assert len(set(ends)) == 3, "more money, sooner done"


def test_a_budget_that_is_too_small_is_enough_for_the_first_jobs() -> None:
    done = decide(_fleet(_jobs(20), budget_left_usd=Decimal("0.06")))
    assert _started(done) == ["cheap"]
    assert done.start[0].cost_usd <= Decimal("0.06")
    assert [job.job_id for job in done.unplaced] == [f"job{number}" for number in range(9, 20)]
    assert "0.0600 USD" in done.unplaced[0].why


def test_nothing_is_started_that_no_budget_is_left_for() -> None:
    done = decide(_fleet(_jobs(3), budget_left_usd=Decimal("0.01")))
    assert not done.start
    assert len(done.unplaced) == 3


def test_a_pod_gets_one_job_more_than_it_renders() -> None:
    done = decide(_fleet(_jobs(5), _pod()))
    assert _given(done) == [("job0", "pod"), ("job1", "pod")]
    assert not decide(_fleet(_jobs(5), _pod(given=2, work_left_s=150.0))).assign


def test_a_job_goes_where_its_model_is_loaded() -> None:
    jobs = (*_jobs(1, model="A", load_s=60.0), replace(_jobs(2)[1], model="B", load_s=60.0))
    done = decide(_fleet(jobs, _pod("one", model="B"), _pod("two", model="A")))
    assert sorted(_given(done)) == [("job0", "two"), ("job1", "one")]
    assert "its model is loaded" in done.assign[0].why


def test_a_busy_pod_with_the_model_beats_an_idle_one_that_would_load_for_longer() -> None:
    jobs = _jobs(1, model="A", load_s=500.0)
    done = decide(_fleet(jobs, _pod("busy", model="A", given=1, work_left_s=50.0), _pod("idle", model="B")))
    assert _given(done) == [("job0", "busy")]


def test_equal_pods_share_the_work() -> None:
    done = decide(_fleet(_jobs(6), _pod("one"), _pod("two"), _pod("three")))
    assert {pod for _, pod in _given(done)} == {"one", "two", "three"}
    assert not done.start


def test_a_pod_that_is_a_little_slower_is_used_all_the_same() -> None:
    done = decide(_fleet(_jobs(6), _pod("one", pace=0.98), _pod("two", pace=1.02)))
    assert {pod for _, pod in _given(done)} == {"one", "two"}


def test_a_pod_that_costs_little_is_started_in_place_of_a_dear_one_when_that_pays() -> None:
    dear = _pod(gpu="H100", vram_gb=80, price_per_hour_usd=Decimal("2.00"))
    assert _started(decide(_fleet(_jobs(40), dear))) == ["cheap"]
    less = replace(dear, price_per_hour_usd=Decimal("1.50"))
    assert not _started(decide(_fleet(_jobs(1), less))), "a boot costs more than that saves"


@pytest.mark.parametrize("health", [Health.SLOW, Health.BROKEN])
def test_a_slow_or_broken_pod_gets_no_more_work_and_is_left(health: Health) -> None:
    done = decide(_fleet(_jobs(4), _pod(health=health, given=1, work_left_s=30.0)))
    assert not done.assign
    assert [end.pod_id for end in done.end] == ["pod"]
    assert health.value in done.end[0].why
    assert _started(done) == ["cheap"]


def test_a_pod_without_work_ends_at_once_when_no_more_jobs_come() -> None:
    assert [end.pod_id for end in decide(_fleet((), _pod())).end] == ["pod"]
    assert not decide(_fleet((), _pod(given=1, work_left_s=10.0))).end
    assert not decide(_fleet((), _pod(pinned=True))).end


def test_a_pod_that_boots_for_nothing_is_ended() -> None:
    booting = _pod("late", stage=Stage.BOOTING, ready_in_s=100.0)
    done = decide(_fleet(_jobs(1), _pod("ready"), booting))
    assert [end.pod_id for end in done.end] == ["late"]
    assert _given(done) == [("job0", "ready")]


def test_when_jobs_may_come_a_pod_rests_for_as_long_as_a_boot_costs() -> None:
    assert not decide(_fleet((), _pod(idle_s=119.0), batch=False)).end
    assert [end.pod_id for end in decide(_fleet((), _pod(idle_s=120.0), batch=False)).end] == ["pod"]
    long_pauses = (900.0, 2000.0, 700.0, 1500.0, 3000.0)
    assert decide(_fleet((), _pod(idle_s=0.0), batch=False, gaps_s=long_pauses)).end, "nothing has ever come so soon"


def test_what_is_not_to_be_had_is_not_started() -> None:
    done = decide(_fleet(_jobs(2), offers=(replace(_CHEAP, available=False), _QUICK)))
    assert _started(done) == ["quick"]
    done = decide(_fleet(_jobs(2), offers=(replace(_CHEAP, available=False),)))
    assert not done.start
    assert "not to be had just now" in done.unplaced[0].why


def test_memory_and_named_gpus_are_kept_to() -> None:
    needy = decide(_fleet(_jobs(2, min_vram_gb=48), _pod()))
    assert _started(needy) == ["quick"]
    assert not needy.assign
    picky = decide(_fleet(_jobs(2, gpus=frozenset(("H100",))), _pod()))
    assert _started(picky) == ["quick"]
    never = decide(_fleet(_jobs(2, min_vram_gb=200)))
    assert [job.job_id for job in never.unplaced] == ["job0", "job1"]
    assert "200 GB" in never.unplaced[0].why


def test_jobs_of_unlike_needs_get_unlike_pods() -> None:
    small = _jobs(30)
    large = tuple(replace(job, job_id=f"large{job.job_id}", min_vram_gb=48) for job in _jobs(2))
    assert sorted(_started(decide(_fleet((*small, *large))))) == ["cheap", "quick"]


def test_never_more_pods_than_allowed_even_while_some_end() -> None:
    draining = _pod("old", stage=Stage.DRAINING, given=1, work_left_s=20.0)
    done = decide(_fleet(_jobs(30), draining, aim=Aim.DEADLINE, deadline_left_s=400.0, max_pods=3))
    assert len(done.start) == 2


def test_a_job_that_was_overtaken_for_long_goes_first() -> None:
    old = replace(_jobs(1)[0], job_id="old", model="B", load_s=60.0, waited_s=1300.0)
    young = _jobs(5, model="A", load_s=60.0)
    done = decide(_fleet((old, *young), _pod(model="A"), offers=()))
    assert done.assign[0].job_id == "old"
    patient = replace(old, waited_s=100.0)
    assert decide(_fleet((patient, *young), _pod(model="A"), offers=())).assign[0].job_id == "job0"


def test_a_job_whose_place_is_taken_gets_it_in_the_end() -> None:
    needy = replace(_jobs(1)[0], job_id="needy", min_vram_gb=48, waited_s=50.0)
    busy = _pod(given=1, work_left_s=20.0)
    waits = decide(_fleet((needy, *_jobs(3)), busy, max_pods=1))
    assert not waits.end
    assert [job.job_id for job in waits.unplaced] == ["needy"]
    late = decide(_fleet((replace(needy, waited_s=700.0), *_jobs(3)), busy, max_pods=1))
    assert [end.pod_id for end in late.end] == ["pod"]


def test_a_deadline_that_cannot_be_kept_is_missed_by_as_little_as_can_be() -> None:
    done = decide(_fleet(_jobs(2), aim=Aim.DEADLINE, deadline_left_s=30.0))
    assert _started(done) == ["quick", "quick"]
    assert "the deadline cannot be kept" in done.start[0].why


def test_to_be_a_little_late_is_better_than_to_pay_much_more() -> None:
    pods = [_pod(f"pod{number}", given=1, work_left_s=20.0) for number in range(2)]
    exact = {"aim": Aim.DEADLINE, "deadline_left_s": 205.0}
    assert not decide(_fleet(_jobs(4), *pods, **exact)).start, "15 s late, and a new pod would cost as much again"
    assert decide(_fleet(_jobs(8), *pods, **exact)).start, "twice as late is another thing"


def test_every_decision_says_why() -> None:
    done = decide(_fleet(_jobs(3), _pod(), aim=Aim.DEADLINE, deadline_left_s=170.0, kind=MoneyKind.SIMULATED))
    words = [given.why for given in done.assign] + [start.why for start in done.start] + [end.why for end in done.end]
    assert all(text.endswith(".") and "\n" not in text for text in words)
    assert any("simulated" in text for text in words)


def _cpu_s(jobs: int, pods: int) -> float:
    fleet = _fleet(
        tuple(
            replace(job, model="ABC"[place % 3], load_s=30.0, seconds={"3090": 60.0 + place % 37, "H100": 20.0})
            for place, job in enumerate(_jobs(jobs))
        ),
        *(_pod(f"pod{number}", model="ABC"[number % 3]) for number in range(pods)),
        max_pods=pods,
        aim=Aim.DEADLINE,
        deadline_left_s=math.inf,
    )
    times = []
    for _ in range(5):
        since_s = time.process_time()
        decide(fleet)
        times.append(time.process_time() - since_s)
    return min(times)


def test_a_thousand_jobs_and_fifty_pods_are_no_more_than_in_proportion() -> None:
    """A few milliseconds where it was written; here it is only asked that the time does not grow faster than the jobs.

    The work of one decision is bounded by lots, and the rest is one look at each job.
    """
    assert _cpu_s(1000, 50) < 5 * _cpu_s(250, 50) + 0.002
