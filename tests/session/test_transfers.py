"""Files of a job on their way: what is told of them, and what is not sent again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from autopod_nb.clock import SystemClock
from autopod_nb.errors import TransferError
from autopod_nb.models.job import JobSpec, JobState
from autopod_nb.models.rate import Transfer
from autopod_nb.models.snapshot import JobView
from autopod_nb.pods.launch import PodLink
from autopod_nb.session import commands, job_events
from autopod_nb.session.effects import StopUpload, UploadInputs
from autopod_nb.session.events import Message, Moment
from autopod_nb.session.job_work import JobWork
from autopod_nb.session.views import Viewer
from autopod_nb.ssh.connection import SshConnection, connect
from autopod_nb.ssh.keys import load_key
from tests.fakes.relay import Relay
from tests.session.story import ADDRESS, START, Story
from tests.ssh.live_pod import LivePod, start_pod

_SIZE = 12_000_000
_MOVED = Transfer(done=12_000_000, size=256_000_000, bytes_per_s=8_100_000.0, left_s=30.1)


def _moved(story: Story, attempt: int | None = None) -> None:
    attempt = story.job().attempt if attempt is None else attempt
    story.tell(job_events.FilesMoved(job_id="j1", attempt=attempt, transfer=_MOVED))


def _view(story: Story) -> JobView:
    return Viewer().snapshot(story.state, Moment(START, story.now_s)).jobs["j1"]


@pytest.fixture
def story() -> Story:
    story = Story()
    story.boot()
    story.submit()
    return story


def test_how_far_the_inputs_are_is_seen_until_they_are_there(story: Story) -> None:
    assert _view(story).transfer is None
    _moved(story)
    assert (_view(story).state, _view(story).transfer) == (JobState.UPLOADING, _MOVED)
    story.upload()
    assert (_view(story).state, _view(story).transfer) == (JobState.UPLOADING, None)


def test_how_far_the_results_are_is_seen_until_they_are_here(story: Story) -> None:
    story.run()
    story.over()
    assert _view(story).transfer is None
    _moved(story)
    assert (_view(story).state, _view(story).transfer) == (JobState.COLLECTING, _MOVED)
    story.fetched()
    assert _view(story).transfer is None


def test_while_nothing_comes_there_is_no_rate_and_nobody_knows_an_end(story: Story) -> None:
    _moved(story)
    story.pass_time(2)
    assert _view(story).transfer == _MOVED
    story.pass_time(2)
    assert _view(story).transfer == replace(_MOVED, bytes_per_s=0.0, left_s=None)


def test_what_an_earlier_attempt_still_tells_is_left_out(story: Story) -> None:
    failed = job_events.StepFailed(job_id="j1", attempt=1, why="the line is lost", line_at_fault=True)
    _moved(story)
    story.tell(failed)
    assert _view(story).transfer is None
    story.pass_time(5)
    assert story.job().attempt == 2
    _moved(story, attempt=1)
    assert _view(story).transfer is None


def test_cancelling_a_job_ends_its_upload(story: Story) -> None:
    story.tell(commands.Cancel(job_id="j1"))
    assert story.take(StopUpload) == [StopUpload(job_id="j1", attempt=1)]


def test_a_job_that_is_being_posted_has_no_upload_to_end(story: Story) -> None:
    story.upload()
    story.tell(commands.Cancel(job_id="j1"))
    assert story.take(StopUpload) == []


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePod]:
    pod = start_pod(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("pod"))
    yield pod
    pod.end()


def _connected(pod: LivePod, line: Relay) -> SshConnection:
    return connect(replace(pod.target(), port=line.port), load_key(pod.key_path), clock=SystemClock(), timeout_s=20)


def _upload(pod: LivePod, folder: Path, attempt: int = 1) -> UploadInputs:
    path = folder / "in.bin"
    if not path.exists():
        path.write_bytes(os.urandom(_SIZE))
    spec = JobSpec(job_id="j1", workflow_template="tiny", inputs={"picture": path})
    return UploadInputs(pod_id="p1", spec=spec, attempt=attempt)


def _link(pod: LivePod) -> PodLink:
    return PodLink(address=replace(ADDRESS, comfyui_dir=str(pod.folder)))


def test_an_upload_tells_how_far_it_is_and_over_the_next_line_nothing_is_sent_again(
    pod: LivePod, tmp_path: Path
) -> None:
    """A few times a second, and the end always; what the pod has is known as long as the pod is."""
    link, posted = _link(pod), list[Message]()
    work = JobWork(lambda _: link, clock=SystemClock(), post=posted.append)
    sent, took_s = [], []
    with Relay(pod.facts["ssh_port"], bytes_per_s=8e6) as line:
        for attempt in (1, 2):
            before, begin_s = line.bytes_up, time.monotonic()
            link.connection = _connected(pod, line)
            work.upload(_upload(pod, tmp_path, attempt))
            link.connection.close()
            sent.append(line.bytes_up - before)
            took_s.append(time.monotonic() - begin_s)
    told = [each for each in posted if isinstance(each, job_events.FilesMoved)]
    first, second = ([each.transfer for each in told if each.attempt == attempt] for attempt in (1, 2))
    assert 3 <= len(first) <= took_s[0] * 5 + 2
    assert [each.done for each in first] == sorted(each.done for each in first)
    assert all(each.bytes_per_s and each.left_s is not None for each in first[1:])
    assert [(each.done, each.size, each.left_s) for each in (first[-1], second[-1])] == [(_SIZE, _SIZE, 0.0)] * 2
    assert sent[0] > _SIZE
    assert sent[1] < 30_000
    assert [each.attempt for each in posted if isinstance(each, job_events.InputsUploaded)] == [1, 2]


@pytest.mark.parametrize("how", ["while it runs", "before it began"])
def test_an_upload_that_nobody_wants_ends_at_once(pod: LivePod, tmp_path: Path, how: str) -> None:
    link, moves = _link(pod), threading.Event()
    work = JobWork(lambda _: link, clock=SystemClock(), post=lambda _: moves.set())
    with Relay(pod.facts["ssh_port"], bytes_per_s=1e6) as line, ThreadPoolExecutor(1) as pool:
        link.connection = _connected(pod, line)
        if how == "before it began":
            work.stop_upload(StopUpload(job_id="j1", attempt=1))
        upload = pool.submit(work.upload, _upload(pod, tmp_path))
        if how == "while it runs":
            assert moves.wait(20)
            work.stop_upload(StopUpload(job_id="j1", attempt=1))
        with pytest.raises(TransferError, match="stopped"):
            upload.result(5)
        assert line.bytes_up < _SIZE / 2
        link.connection.close()
