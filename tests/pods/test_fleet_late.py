"""What the fleet rule does when a deadline is tight or a boot is late: what is dear for little it does not do."""

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


def test_a_dear_pod_is_rented_when_the_cheap_one_would_be_much_too_late() -> None:
    assert decide(_fleet(_JOB, _boots(90.0), 240.0)).start


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


@pytest.mark.parametrize(
    ("deadline_s", "budget", "jobs", "gpus", "ready_in_s", "job_s"),
    [
        (30.0, "59.62", 9, 2, 139.0, 7.0),
        (60.0, "112.97", 3, 2, None, 7.0),
        (60.0, None, 9, 3, 139.0, 7.0),
        (180.0, None, 7, 1, 88.5, 20.0),
        (60.0, None, 3, 2, None, 7.0),
    ],
)
def test_what_was_just_rented_is_not_ended_to_be_rented_again(
    *, deadline_s: float, budget: str | None, jobs: int, gpus: int, ready_in_s: float | None, job_s: float
) -> None:
    """Asked again before any time has passed, the rule stands by what it decided: each pod would cost for nothing."""
    price, names = Decimal(360), ("A40", "RTX A6000", "RTX A5000")[:gpus]
    offers = tuple(
        FleetOffer(offer_id=gpu, gpu=gpu, vram_gb=48, price_per_hour_usd=price, boot_s=180.0) for gpu in names
    )

    def boots(pod_id: str, gpu: str, seconds: float) -> FleetPod:
        return FleetPod(
            pod_id=pod_id, gpu=gpu, vram_gb=48, price_per_hour_usd=price, stage=Stage.BOOTING, ready_in_s=seconds
        )

    fleet = Fleet(
        jobs=tuple(
            FleetJob(job_id=f"job{number}", seconds=dict.fromkeys(names, job_s), model="tiny", waited_s=40.0)
            for number in range(jobs)
        ),
        pods=() if ready_in_s is None else (boots("first", "A40", ready_in_s),),
        offers=offers,
        max_pods=3,
        aim=Aim.DEADLINE,
        budget_left_usd=None if budget is None else Decimal(budget),
        deadline_left_s=deadline_s,
    )
    started = 0
    for turn in range(8):
        decisions = decide(fleet)
        ended = {end.pod_id for end in decisions.end}
        new = [boots(f"{turn}-{place}", each.offer_id, 180.0) for place, each in enumerate(decisions.start)]
        started += len(new)
        fleet = replace(fleet, pods=(*(pod for pod in fleet.pods if pod.pod_id not in ended), *new))
    assert started <= fleet.max_pods
    assert (decisions.start, decisions.end) == ((), ())
