"""Lines cut, processes killed, folders gone: a job is delivered or ends with a clear line, and nothing hangs."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.clock import Clock
from autopod_nb.config import LEDGER_NAME
from autopod_nb.errors import LedgerError
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.session.commands import PodRequest
from autopod_nb.storage.ledger import Ledger
from tests.fakes.relay import Relay
from tests.leftovers import left_of
from tests.session.live import REAL, Live, RelayedProvider, kill

pytestmark = pytest.mark.faults
PORTRAIT = Path(__file__).parents[2] / "jobs" / "inputs" / "portrait.jpg"


# --- the line --------------------------------------------------------------------------------------------------------


def _relayed(folder: Path, clock: Clock) -> RelayedProvider:
    return RelayedProvider(folder, clock=clock)


@pytest.fixture(scope="module")
def relayed(open_shared: Callable[..., Live]) -> Live:
    """A session with a pod whose SSH line goes through a relay."""
    live = open_shared(provider=_relayed)
    live.rent()
    return live


def _relay(live: Live) -> tuple[str, Relay]:
    """The pod's id, and the relay on the way to it."""
    (pod_id,) = live.session.snapshot.pods
    assert isinstance(live.provider, RelayedProvider)
    return pod_id, live.provider.relays[live.pod(pod_id).name]


@contextmanager
def line_cut(live: Live) -> Iterator[str]:
    """Cut the SSH line of the pod, and let no new one through, for as long as the block lasts. Gives the pod's id."""
    pod_id, relay = _relay(live)
    relay.refuse()
    relay.cut()
    try:
        live.until_pod(pod_id, PodState.LOST)
        yield pod_id
    finally:
        relay.admit()


def test_a_job_goes_on_while_the_line_is_cut_and_is_delivered(relayed: Live) -> None:
    """The local port stays, the loss and the return are told, progress is unknown only in between."""
    job = relayed.submit("slow", "cut", steps=25)
    before = relayed.until_rendering(job)
    (pod,) = relayed.session.snapshot.pods.values()
    with line_cut(relayed) as pod_id:
        assert f"Pod {pod_id}: the SSH line was lost. Reconnecting." in relayed.notices
        assert job.progress.percent is None
    after = relayed.until_pod(pod_id, PodState.BUSY)
    assert (after.local_port, after.phase) == (pod.local_port, "connected again")
    job.wait(60)
    assert (job.view.attempt, job.view.prompt_id) == (1, before.prompt_id)
    assert (relayed.out / "cut.png").exists()


@pytest.mark.slow
def test_a_job_that_ends_while_the_line_is_cut_is_delivered(relayed: Live) -> None:
    job = relayed.submit("slow", "unseen", steps=15)
    relayed.until_rendering(job)
    with line_cut(relayed) as pod_id:
        pictures = relayed.pod_folder(pod_id) / "ComfyUI" / "output" / "test"
        count = len(list(pictures.glob("*.png")))
        relayed.until(lambda _: len(list(pictures.glob("*.png"))) > count)
        assert not job.view.over
    assert job.wait(60).view.attempt == 1
    assert (relayed.out / "unseen.png").exists()


@pytest.mark.slow
def test_a_line_that_stalls_for_a_while_loses_nothing(relayed: Live) -> None:
    """No byte passes for six seconds, longer than a ping may take, and nothing is closed."""
    pod_id, relay = _relay(relayed)
    job = relayed.submit("slow", "stalled", steps=30)
    relayed.until_rendering(job)
    relay.hold()
    try:
        relayed.let_pass(6)
        assert relayed.pod(pod_id).state is PodState.BUSY
    finally:
        relay.release()
    assert job.wait(60).view.attempt == 1
    assert (relayed.out / "stalled.png").exists()


def test_a_job_cancelled_while_the_line_is_cut_does_not_keep_the_gpu(relayed: Live) -> None:
    """The next job would wait for six minutes behind it otherwise."""
    job = relayed.submit("slow", "unwanted")
    relayed.until_rendering(job)
    with line_cut(relayed):
        job.cancel()
    relayed.submit("noise", "following", seed=12).wait(60)
    relayed.until_job(job, JobState.CANCELLED)  # the new socket does not tell of the old one's prompts: a poll does


def test_a_job_submitted_while_the_line_is_cut_runs_when_it_is_back(relayed: Live) -> None:
    with line_cut(relayed):
        job = relayed.submit("noise", "patient", seed=11)
        assert job.state is JobState.QUEUED
    job.wait(60)
    assert (relayed.out / "patient.png").exists()


def test_closing_does_not_wait_for_a_line_that_is_silent(open_live: Callable[..., Live]) -> None:
    live = open_live(provider=_relayed)
    live.rent()
    pod_id, relay = _relay(live)
    relay.hold()  # until it ends with its provider
    job = live.submit("img2vid-basic", "in-vain", inputs={"image": PORTRAIT})
    live.until_job(job, JobState.UPLOADING)
    began_s = REAL.monotonic()
    live.close()
    assert REAL.monotonic() - began_s < 8
    assert live.pod(pod_id).state is PodState.TERMINATED


# --- processes -------------------------------------------------------------------------------------------------------


def test_a_comfyui_that_died_ends_its_pod_and_the_job_says_why(live: Live) -> None:
    """SSH stands and the pod bills, but nothing can render there."""
    pod_id = live.rent()
    job = live.submit("slow", "engineless")
    live.until_rendering(job)
    kill(live.process(pod_id, ".engine_main"), signal.SIGKILL)
    live.until(lambda snapshot: snapshot.jobs["engineless"].progress.percent is None)
    live.jump(20)
    live.until(lambda _: f"ComfyUI on pod {pod_id} does not answer, though SSH does." in live.notices)
    assert not job.view.over
    live.jump(300)
    view = live.until_over(job)
    assert view.state is JobState.FAILED
    assert f"ComfyUI on pod {pod_id} did not answer for 5 minutes" in view.error
    live.until_pod(pod_id, PodState.TERMINATED)


def test_a_pod_killed_in_mid_job_ends_the_job_and_leaves_nothing(live: Live) -> None:
    pod_id = live.rent()
    job = live.submit("slow", "podless")
    live.until_rendering(job)
    folder = live.pod_folder(pod_id)
    kill(live.process(pod_id, ""), signal.SIGKILL)
    view = live.until_over(job)
    live.until_pod(pod_id, PodState.TERMINATED)
    assert view.state is JobState.FAILED
    assert f"Pod {pod_id} stopped without being asked" in view.error
    assert not folder.exists()
    assert not left_of(live.home, 5.0)
    live.close()  # its last words are in the ledger then
    assert not Ledger(live.home / LEDGER_NAME).pods_that_may_bill()


@pytest.mark.slow
def test_a_pod_program_that_hangs_is_killed_with_all_it_started(live: Live) -> None:
    pod_id = live.rent()
    job = live.submit("slow", "frozen")
    live.until_rendering(job)
    kill(live.process(pod_id, ".engine_main"), signal.SIGSTOP)
    kill(live.process(pod_id, ""), signal.SIGSTOP)
    live.close()
    assert live.pod(pod_id).state is PodState.TERMINATED
    assert not left_of(live.home, 5.0)


@pytest.mark.slow
def test_a_laptop_that_slept_for_an_hour_finds_its_job(live: Live) -> None:
    """The pod has worked on, and was paid for."""
    pod_id = live.rent()
    job = live.submit("slow", "overnight", steps=15)
    live.until_rendering(job)
    live.jump(3600)
    assert live.until_over(job).state is JobState.DONE
    assert Decimal("0.40") <= live.pod(pod_id).cost_usd < Decimal("0.41")
    assert live.pod(pod_id).state in (PodState.BUSY, PodState.READY)


# --- the ledger ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_a_ledger_that_can_be_written_no_pod_is_made(live: Live) -> None:
    """Another process holds the ledger for longer than we wait: no pod, no job; afterwards all works again."""
    with closing(sqlite3.connect(live.home / LEDGER_NAME, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        pod_id = live.session.connect(live.session.plan(PodRequest()))
        pod = live.until_pod(pod_id, PodState.TERMINATED)
        assert "has been locked by another process for 5 s" in pod.error
        assert not list((live.home / "pods").glob("autopod-*"))
        other.execute("ROLLBACK")
    assert live.submit("noise", "later").wait(60).state is JobState.DONE
    live.close()
    states = [pod.state for pod in Ledger(live.home / LEDGER_NAME).read_pods()]
    assert states == [PodState.TERMINATED]  # the one that was made


def test_a_ledger_that_cannot_be_opened_is_said_before_anything_is_made(
    open_live: Callable[..., Live],
) -> None:
    live = open_live()
    live.close()
    for path in live.home.glob(f"{LEDGER_NAME}*"):
        path.unlink()
    (live.home / LEDGER_NAME).mkdir()
    with pytest.raises(LedgerError, match=r"The ledger .*ledger\.sqlite3"):
        Live(live.folder)


# --- the results -----------------------------------------------------------------------------------------------------


def test_a_result_waits_on_the_pod_until_its_folder_can_be_written(live: Live) -> None:
    """The folder vanishes in mid-job and a file stands in its place: the job waits with a warning, nothing is lost."""
    pod_id = live.rent()
    target = live.out / "shots" / "kept.png"
    job = live.submit("slow", "kept", steps=8, output=target)
    live.until_rendering(job)
    shutil.rmtree(target.parent, ignore_errors=True)
    live.out.mkdir(exist_ok=True)
    target.parent.write_text("in the way")
    view = live.until(lambda snapshot: bool(snapshot.jobs["kept"].warning)).jobs["kept"]
    assert view.state is JobState.COLLECTING
    assert str(target) in view.warning
    assert live.pod(pod_id).unsaved == 1
    target.parent.unlink()
    live.jump(3)
    job.wait(60)
    assert job.outputs == {"picture": [target]}
    assert not job.view.warning


def test_a_pod_that_must_end_with_results_on_it_is_stopped_and_keeps_them(live: Live) -> None:
    pod_id = live.rent()
    target = live.out / "shots" / "stranded.png"
    job = live.submit("slow", "stranded", steps=8, output=target)
    live.until_rendering(job)
    live.out.mkdir(exist_ok=True)
    target.parent.write_text("in the way")
    live.until(lambda snapshot: bool(snapshot.jobs["stranded"].warning))
    folder = live.pod_folder(pod_id)
    live.close()
    assert not left_of(live.home, 5.0)
    ledger = Ledger(live.home / LEDGER_NAME)
    assert [pod.state for pod in ledger.pods_that_may_bill()] == [PodState.STOPPED]
    assert [row.state for row in ledger.read_jobs()] == [JobState.COLLECTING]
    assert list((folder / "ComfyUI" / "output" / "test").glob("*.png"))
