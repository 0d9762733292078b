"""Whatever becomes of the line: what was rendered arrives, once, and soon after the line is good again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from tests.session import delivery_cases as cases
from tests.session.delivery import STEPS, WITHIN_S, Chance, Delivery, Figures, faulty_lines
from tests.session.delivery_others import Engines, Other
from tests.session.delivery_wave import Wave
from tests.session.live import Live
from tests.session.stall import StallWatch

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

PODS = 8


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    engines = Engines()
    yield engines
    engines.close()


@pytest.fixture(scope="module")
def stalls() -> Iterator[StallWatch]:
    stalls = StallWatch()
    yield stalls
    stalls.close()


@pytest.fixture(scope="module")
def live(engines: Engines, open_shared: Callable[..., Live]) -> Live:
    """A session with pods, each behind a relay with a delay of 20 ms each way."""
    live = open_shared(provider=faulty_lines)
    pod_ids = [live.session.connect(live.session.plan(live.request())) for _ in range(PODS)]
    for pod_id in pod_ids:
        live.until_ready(pod_id, within_s=90)
    return live


@pytest.fixture(scope="module")
def rival(live: Live) -> Iterator[Other]:
    """A second process, with a session of its own in the same home."""
    rival = Other("delivery_rival", live.folder)
    yield rival
    rival.kill()


@pytest.fixture(scope="module")
def pods(live: Live, stalls: StallWatch) -> list[Delivery]:
    return [Delivery(live, pod_id, stalls) for pod_id in live.session.snapshot.pods]


@pytest.fixture(scope="module", params=[3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def wave(request: pytest.FixtureRequest, pods: list[Delivery], engines: Engines, rival: Other) -> Wave:
    """All cases, several at once; the longest first."""
    wave = Wave(
        {
            "comfyui-anew": cases.comfyui_anew(engines),
            "silence": cases.silence,
            "cut": cases.cut,
            "end-unseen": cases.end_unseen,
            "another-port": cases.another_port,
            "cut-download": cases.cut_download,
            "second-process": cases.second_process(rival),
            "cut-upload": cases.cut_upload,
        },
        request.param,
    )
    wave.run(pods)
    return wave


def test_a_a_cut_of_two_seconds_in_mid_job(wave: Wave) -> None:
    wave.judge("cut")


def test_b_an_outage_that_covers_the_end_of_the_job(wave: Wave) -> None:
    wave.judge("end-unseen")


def test_c_open_connections_that_fall_silent_and_come_to_life_again(wave: Wave) -> None:
    wave.judge("silence")


def test_d_ssh_comes_back_at_another_port(wave: Wave) -> None:
    wave.judge("another-port")


def test_e_comfyui_is_killed_and_begins_anew(wave: Wave) -> None:
    wave.judge("comfyui-anew")


def test_g_a_download_that_is_cut(wave: Wave) -> None:
    wave.judge("cut-download")


def test_an_upload_that_is_cut_goes_on_where_it_ended(wave: Wave) -> None:
    wave.judge("cut-upload")


def test_h_a_second_process_commands_the_same_pod(wave: Wave) -> None:
    wave.judge("second-process")


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_no_job_of_a_few_milliseconds_gets_a_false_end(live: Live, pods: list[Delivery], count: int) -> None:
    """Each is over before anybody can look where it is; each is done, once, with a picture of its own."""
    for at in pods:
        at.until_ready()
    names = [f"fast-{count}-{number:04}" for number in range(count)]
    jobs = live.session.submit_all([live.spec("noise", name, seed=number) for number, name in enumerate(names)])
    for job in jobs:
        live.until_over(job, within_s=60 + count)
    assert {(job.state, job.view.attempt) for job in jobs} == {(JobState.DONE, 1)}
    assert len({job.outputs["picture"][0].read_bytes() for job in jobs}) == count
    counts = [at.since() for at in pods]
    assert (sum(posts for posts, _ in counts), sum(runs for _, runs in counts)) == (count, count)


@pytest.mark.slow
def test_an_outage_of_half_a_minute_during_the_post(pods: list[Delivery]) -> None:
    """The answer is given up; when the line is back, the job is posted again, and that does not count as an attempt."""
    wave = Wave({"post-in-an-outage": cases.run_out}, 2)
    wave.run(pods[:2])
    wave.judge("post-in-an-outage")


def test_the_pods_are_as_good_as_before(live: Live) -> None:
    """No line and no job of all this is left over."""
    for pod_id in live.session.snapshot.pods:
        live.until_pod(pod_id, PodState.READY)
    assert not [job for job in live.session.snapshot.jobs.values() if not job.over]


def test_h_a_stop_by_a_second_process_loses_nothing(live: Live, pods: list[Delivery], rival: Other) -> None:
    """What runs and what waits on the pod is rendered and fetched before its end. The last test: pods end here."""

    def stopped(at: Delivery, chance: Chance) -> Figures:
        running = at.submit_shot(chance.name, steps=STEPS, seed=chance.randrange(1 << 30))
        behind = at.submit_shot(f"{chance.name}-behind", steps=3, seed=chance.randrange(1 << 30))
        at.until_runs(running)
        live.until_job(behind, JobState.SUBMITTED)
        assert rival.ask(f"stop {at.pod_id}")["stopped"] == at.pod_id
        for each in (running, behind):
            view = live.until_over(each, within_s=WITHIN_S)
            assert (view.state, view.attempt) == (JobState.DONE, 1), view.error
            assert each.outputs["picture"][0].stat().st_size > 0
        live.until_pod(at.pod_id, PodState.TERMINATED)
        return Figures(late_s=0.0)  # whom one could ask when it ended is gone

    wave = Wave({"stopped": stopped}, 3)
    wave.run(pods[:3])
    wave.judge("stopped")
