"""What the fleet rule does when a deadline becomes tight: a boot is late, or nothing can be in time any more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from autopod_nb.pods.fleet import decide
from autopod_nb.pods.fleet_estimate import left_s
from autopod_nb.pods.fleet_facts import Aim, Fleet, FleetJob, FleetOffer, FleetPod, Stage

_DEAR = FleetOffer(offer_id="dear", gpu="H100", vram_gb=80, price_per_hour_usd=Decimal("2.00"), boot_s=172.0)
_JOB = FleetJob(job_id="job", seconds={"3090": 230.0, "H100": 60.0}, waited_s=200.0)


def _boots(ready_in_s: float) -> FleetPod:
    price = Decimal("0.20")
    return FleetPod(
        pod_id="cheap", gpu="3090", vram_gb=24, price_per_hour_usd=price, stage=Stage.BOOTING, ready_in_s=ready_in_s
    )


def _fleet(job: FleetJob, pod: FleetPod, deadline_left_s: float) -> Fleet:
    return Fleet(
        jobs=(job,), pods=(pod,), offers=(_DEAR,), max_pods=4, aim=Aim.DEADLINE, deadline_left_s=deadline_left_s
    )


def test_a_dear_pod_is_not_rented_because_a_cheap_one_boots_a_little_late() -> None:
    """With it all would be done 38 s sooner, of 440 s in all, for eight times the money."""
    done = decide(_fleet(_JOB, _boots(40.0), 240.0))
    assert not done.start
    assert not done.end
    assert done.finish_s == pytest.approx(270)


def test_how_late_is_a_little_is_told_by_all_the_time_that_there_was() -> None:
    """The same 30 s are much of a deadline that was just given: for that one the dear pod is rented."""
    done = decide(_fleet(replace(_JOB, waited_s=0.0), _boots(40.0), 240.0))
    assert [start.offer_id for start in done.start] == ["dear"]


def test_a_dear_pod_is_rented_when_the_cheap_one_would_be_much_too_late() -> None:
    assert decide(_fleet(_JOB, _boots(90.0), 240.0)).start


def test_when_the_deadline_is_lost_a_dear_pod_is_not_rented_to_be_late_by_a_little_less() -> None:
    """The dear one would be late, too: 32 s instead of 70 s."""
    done = decide(_fleet(_JOB, _boots(40.0), 200.0))
    assert not done.start
    assert not done.end
    assert decide(_fleet(_JOB, _boots(140.0), 200.0)).start, "where much is won it still is"


def test_when_the_deadline_is_lost_one_new_pod_does_what_two_would_do_hardly_sooner() -> None:
    jobs = tuple(
        FleetJob(job_id=f"job{number}", seconds={"H100": 10.0}, model="A", load_s=25.0, waited_s=580.0)
        for number in range(2)
    )
    late = Fleet(jobs=jobs, pods=(), offers=(_DEAR,), max_pods=4, aim=Aim.DEADLINE, deadline_left_s=1.0)
    assert len(decide(late).start) == 1, "217 s with two pods, 227 s with one"


def test_a_little_late_says_little_of_how_late_it_will_be() -> None:
    """Boots vary by a fourth: one that is a fifth late is soon there; one that takes three times as long hangs."""
    assert left_s(100.0, 120.0) < 20
    assert left_s(100.0, 150.0) < 30
    assert left_s(100.0, 300.0) > 100
    assert left_s(0.0, 10.0) > 0, "nothing is known of how long it takes"


def test_a_few_dear_pods_make_up_for_what_cheap_ones_cannot_do() -> None:
    """As many cheap pods as allowed are not quite enough: one dear one besides, and not dear ones for all.

    A pod does four jobs in time where it is cheap, and sixteen are allowed, for 72 jobs. The work alone costs 0.94 USD
    on cheap pods and 1.61 USD or more on others.
    """
    offers = tuple(
        FleetOffer(offer_id=gpu, gpu=gpu, vram_gb=80, price_per_hour_usd=Decimal(price), boot_s=boot_s)
        for gpu, price, boot_s in (("3090", "0.24", 59.0), ("L40S", "0.90", 75.0), ("H100", "1.93", 73.0))
    )
    seconds = {"3090": 195.0, "L40S": 112.0, "H100": 69.0}
    jobs = tuple(FleetJob(job_id=f"job{number}", seconds=seconds, model="A", load_s=26.0) for number in range(72))
    done = decide(Fleet(jobs=jobs, pods=(), offers=offers, max_pods=16, aim=Aim.DEADLINE, deadline_left_s=993.0))
    assert Counter(start.offer_id for start in done.start)["3090"] >= 14
    assert done.cost_usd < Decimal("1.45")
    assert done.finish_s <= 993 * 1.01
