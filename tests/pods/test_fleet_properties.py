"""What holds for every decision of the fleet rule, whatever it is asked."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from autopod_nb.models.money import cost_usd
from autopod_nb.pods.fleet import decide
from autopod_nb.pods.fleet_facts import Aim, Decisions, Fleet, FleetJob, FleetOffer, FleetPod, Health, Stage

_GPUS = {"A5000": 24, "4090": 24, "A6000": 48, "H100": 80}
_TIMES = st.floats(0.5, 2000)
_PRICES = st.decimals("0.05", "5", places=2)


@st.composite
def _a_job(draw: st.DrawFn, number: int) -> FleetJob:
    known = draw(st.sets(st.sampled_from(sorted(_GPUS)), min_size=1))
    return FleetJob(
        job_id=f"job{number}",
        seconds={gpu: draw(_TIMES) for gpu in sorted(known)},
        model=draw(st.sampled_from(["", "A", "B"])),
        load_s=draw(st.floats(0, 100)),
        upload_s=draw(st.floats(0, 30)),
        download_s=draw(st.floats(0, 30)),
        min_vram_gb=draw(st.sampled_from([0, 16, 24, 48, 80, 141])),
        gpus=draw(st.none() | st.frozensets(st.sampled_from(sorted(_GPUS)), min_size=1)),
        waited_s=draw(st.floats(0, 5000)),
    )


@st.composite
def _a_pod(draw: st.DrawFn, number: int) -> FleetPod:
    gpu = draw(st.sampled_from(sorted(_GPUS)))
    stage = draw(st.sampled_from(Stage))
    jobs = draw(st.integers(0, 2)) if stage is not Stage.BOOTING else 0
    return FleetPod(
        pod_id=f"pod{number}",
        gpu=gpu,
        vram_gb=_GPUS[gpu],
        price_per_hour_usd=draw(_PRICES),
        stage=stage,
        ready_in_s=draw(st.floats(0, 600)) if stage is Stage.BOOTING else 0.0,
        given=jobs,
        work_left_s=draw(_TIMES) if jobs else 0.0,
        model=draw(st.sampled_from(["", "A", "B"])),
        idle_s=0.0 if jobs else draw(st.floats(0, 1000)),
        pace=draw(st.floats(0.8, 1.6)),
        health=draw(st.sampled_from([Health.WELL, Health.WELL, Health.WELL, Health.SLOW, Health.BROKEN])),
        pinned=draw(st.booleans()),
    )


@st.composite
def _an_offer(draw: st.DrawFn, number: int) -> FleetOffer:
    gpu = draw(st.sampled_from(sorted(_GPUS)))
    return FleetOffer(
        offer_id=f"offer{number}",
        gpu=gpu,
        vram_gb=_GPUS[gpu],
        price_per_hour_usd=draw(_PRICES),
        boot_s=draw(st.floats(1, 900)),
        available=draw(st.booleans()),
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Anything that a session could ask."""
    pods = tuple(draw(_a_pod(number)) for number in range(draw(st.integers(0, 5))))
    return Fleet(
        jobs=tuple(draw(_a_job(number)) for number in range(draw(st.integers(0, 9)))),
        pods=pods,
        offers=tuple(draw(_an_offer(number)) for number in range(draw(st.integers(0, 4)))),
        max_pods=draw(st.integers(max(1, len(pods)), len(pods) + 6)),
        aim=draw(st.sampled_from(Aim)),
        budget_left_usd=draw(st.none() | st.decimals("0", "3", places=4)),
        deadline_left_s=draw(st.none() | st.floats(-100, 5000)),
        batch=draw(st.booleans()),
        gaps_s=tuple(draw(st.lists(st.floats(0, 2000), max_size=8))),
    )


def _given_usd(fleet: Fleet) -> Decimal:
    return sum(
        (
            cost_usd(pod.price_per_hour_usd, Decimal(str(round(pod.ready_in_s + pod.work_left_s, 3))))
            for pod in fleet.pods
            if pod.given
        ),
        Decimal(0),
    )


@settings(max_examples=150, deadline=None)
@given(fleets())
def test_it_keeps_to_every_limit(fleet: Fleet) -> None:
    done = decide(fleet)
    assert len(fleet.pods) + len(done.start) <= max(fleet.max_pods, len(fleet.pods))
    if fleet.budget_left_usd is not None and (done.assign or done.start):
        offers = {offer.offer_id: offer for offer in fleet.offers}
        boots = sum(cost_usd(offers[start.offer_id].price_per_hour_usd, Decimal(str(offers[start.offer_id].boot_s)))
                    for start in done.start)  # fmt: skip
        decided = sum((each.cost_usd for each in done.assign), Decimal(0))
        decided += sum((start.cost_usd for start in done.start), Decimal(0))
        assert _given_usd(fleet) + decided <= fleet.budget_left_usd
        assert sum((start.cost_usd for start in done.start), Decimal(0)) >= boots, "what a pod costs includes its boot"


@settings(max_examples=150, deadline=None)
@given(fleets())
def test_a_job_goes_to_one_pod_that_can_run_it_and_has_room(fleet: Fleet) -> None:
    done = decide(fleet)
    jobs = {job.job_id: job for job in fleet.jobs}
    pods = {pod.pod_id: pod for pod in fleet.pods}
    names = [each.job_id for each in done.assign]
    assert len(names) == len(set(names))
    out = [each.job_id for each in done.unplaced]
    assert len(out) == len(set(out))
    assert not set(names) & set(out)
    for each in done.assign:
        job, pod = jobs[each.job_id], pods[each.pod_id]
        assert pod.stage is Stage.READY
        assert pod.health is Health.WELL
        assert pod.gpu in job.seconds
        assert pod.vram_gb >= job.min_vram_gb
        assert job.gpus is None or pod.gpu in job.gpus
        assert each.cost_usd >= cost_usd(pod.price_per_hour_usd, Decimal(str(round(job.seconds[pod.gpu] * 0.79, 3))))
    for pod in fleet.pods:
        assert pod.given + sum(each.pod_id == pod.pod_id for each in done.assign) <= max(fleet.depth, pod.given)


@settings(max_examples=150, deadline=None)
@given(fleets())
def test_what_ends_has_no_work_and_gets_none(fleet: Fleet) -> None:
    done = decide(fleet)
    pods = {pod.pod_id: pod for pod in fleet.pods}
    ended = [end.pod_id for end in done.end]
    assert len(ended) == len(set(ended))
    for pod_id in ended:
        assert pods[pod_id].stage is not Stage.DRAINING
        if not _makes_room(fleet, done):
            assert pods[pod_id].given == 0 or pods[pod_id].health is not Health.WELL
            assert pod_id not in {each.pod_id for each in done.assign}


def _makes_room(fleet: Fleet, done: Decisions) -> bool:
    return len(done.end) == 1 and "has waited for long" in done.end[0].why and bool(fleet.jobs)


@settings(max_examples=60, deadline=None)
@given(fleets())
def test_the_same_question_has_the_same_answer(fleet: Fleet) -> None:
    assert decide(fleet) == decide(replace(fleet, jobs=tuple(fleet.jobs)))


@settings(max_examples=120, deadline=None)
@given(fleets())
def test_a_pod_is_started_for_work_that_waits_and_that_it_can_run(fleet: Fleet) -> None:
    done = decide(fleet)
    offers = {offer.offer_id: offer for offer in fleet.offers}
    taken = {each.job_id for each in done.assign} | {each.job_id for each in done.unplaced}
    waiting = [job for job in fleet.jobs if job.job_id not in taken]
    assert len(done.start) <= len(waiting)
    for start in done.start:
        offer = offers[start.offer_id]
        assert offer.available
        assert any(offer.gpu in job.seconds and offer.vram_gb >= job.min_vram_gb for job in waiting)


@settings(max_examples=120, deadline=None)
@given(fleets())
def test_the_cheapest_way_starts_nothing_that_does_not_pay(fleet: Fleet) -> None:
    """Where one pod that is there can do everything, new ones make it cheaper than that, or there are none."""
    fleet = replace(fleet, aim=Aim.CHEAPEST, budget_left_usd=None)
    done = decide(fleet)
    if not done.start or done.unplaced:
        return
    for pod in fleet.pods:
        if pod.stage is Stage.DRAINING or pod.health is not Health.WELL:
            continue
        if all(pod.gpu in job.seconds and pod.vram_gb >= job.min_vram_gb and
               (job.gpus is None or pod.gpu in job.gpus) for job in fleet.jobs):  # fmt: skip
            seconds = pod.ready_in_s + sum(
                max(job.seconds[pod.gpu], job.upload_s, job.download_s) * (pod.pace + 0.025)
                + job.load_s + job.upload_s + job.download_s for job in fleet.jobs
            )  # fmt: skip
            alone = cost_usd(pod.price_per_hour_usd, Decimal(str(round(seconds, 3))))
            assert done.cost_usd <= _given_usd(fleet) + alone


@settings(max_examples=50, deadline=None)
@given(fleets())
def test_asked_again_and_again_it_does_everything(fleet: Fleet) -> None:
    """Nobody waits for ever: with pods to be had and no limit, all jobs that can run have been given out in the end.

    Each round every pod finishes what it has, every boot ends, and every draining pod is gone.
    """
    fleet = replace(fleet, budget_left_usd=None, aim=Aim.CHEAPEST, max_pods=max(1, len(fleet.pods)))
    hopeless = _hopeless(fleet)
    for round_ in range(60):
        done = decide(fleet)
        given = {each.job_id for each in done.assign}
        fleet = _later(fleet, done, given, round_)
        hopeless |= _hopeless(fleet)
        if {job.job_id for job in fleet.jobs} <= hopeless:
            return
    raise AssertionError(f"these wait still: {fleet.jobs}")


def _hopeless(fleet: Fleet) -> set[str]:
    """Jobs for which there is nothing, and nothing comes: in this test, what is not to be had stays so."""
    words = ("no such offer", "not to be had just now")
    return {each.job_id for each in decide(fleet).unplaced if any(word in each.why for word in words)}


def _later(fleet: Fleet, done: Decisions, given: set[str], round_: int) -> Fleet:
    ended = {end.pod_id for end in done.end}
    jobs = tuple(replace(job, waited_s=job.waited_s + 400) for job in fleet.jobs if job.job_id not in given)
    pods = [
        replace(pod, stage=Stage.READY, ready_in_s=0.0, given=0, work_left_s=0.0, idle_s=0.0, pinned=False)
        for pod in fleet.pods
        if pod.pod_id not in ended and pod.stage is not Stage.DRAINING
    ]
    offers = {offer.offer_id: offer for offer in fleet.offers}
    pods += [
        FleetPod(
            pod_id=f"new{round_}.{place}",
            gpu=offers[start.offer_id].gpu,
            vram_gb=offers[start.offer_id].vram_gb,
            price_per_hour_usd=offers[start.offer_id].price_per_hour_usd,
            stage=Stage.READY,
        )
        for place, start in enumerate(done.start)
    ]
    return replace(fleet, jobs=jobs, pods=tuple(pods))
