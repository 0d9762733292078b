"""A job's steps on a real pod: inputs up, workflow in, results back whole, and nothing that was paid for lost."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.comfyui.client import ComfyClient
from autopod_nb.comfyui.monitor import Monitor
from autopod_nb.comfyui.monitor_events import MonitorEvent, PromptResultFound, PromptVanished
from autopod_nb.comfyui.workflow import WorkflowTemplate, find_template, load_template
from autopod_nb.errors import AnswerLost, PromptRefused, TransferError
from autopod_nb.jobs import run
from autopod_nb.jobs.run import ResultLost
from autopod_nb.models.event import PromptOutcome, PromptOver, PromptResult
from autopod_nb.models.job import JobSpec, ResultFile, Verified
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import PodAddress
from autopod_nb.pods import launch
from autopod_nb.pods.launch import PodLink
from autopod_nb.providers.base import PodOrder
from autopod_nb.providers.local import LocalProvider
from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from autopod_nb.ssh.transfer import PodFiles
from tests.comfyui.servers import Answer, ScriptedServer
from tests.leftovers import left_of

_ROOT = Path(__file__).parents[2]
_CLOCK = SystemClock()
_WITHIN_S = 60.0
_NEVER = threading.Event()


class _Hasty(SystemClock):
    """Pauses are short, for a test that is not about their length."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s / 20)


@dataclass(frozen=True)
class Pod:
    """A pod that runs, with what is open to it."""

    address: PodAddress
    client: ComfyClient
    monitor: Monitor
    files: PodFiles
    events: list[MonitorEvent]
    changed: threading.Condition

    def upload(self, spec: JobSpec) -> tuple[tuple[str, str], ...]:
        return run.upload_inputs(self.files, spec, self.address, deadline=_deadline(), stop=_NEVER)

    def submit(self, template: WorkflowTemplate, spec: JobSpec, names: tuple[tuple[str, str], ...] = ()) -> str:
        prompt_id = str(uuid.uuid4())
        run.submit(self.client, self.monitor, template, spec, names=names, prompt_id=prompt_id)
        return prompt_id

    def until_over(self, prompt_id: str) -> PromptResult:
        """Wait for the end, however the monitor hears of it, and read the history."""

        def is_over() -> bool:
            return any(
                (isinstance(event, PromptOver) and event.prompt_id == prompt_id)
                or (isinstance(event, PromptResultFound) and event.result.prompt_id == prompt_id)
                for event in self.events
            )

        with self.changed:
            assert self.changed.wait_for(is_over, _WITHIN_S)
        result = self.client.history(prompt_id)
        assert result is not None
        return result

    def fetch(
        self, template: WorkflowTemplate, spec: JobSpec, prompt_id: str, result: PromptResult | None = None
    ) -> tuple[PromptResult, tuple[ResultFile, ...]]:
        result = result or run.read_result(self.client, prompt_id, saved=dict, made=())
        return run.fetch(self.client, self.files, template, spec, self.address, result=result, deadline=_deadline())

    def run(self, template: WorkflowTemplate, spec: JobSpec) -> tuple[PromptResult, tuple[ResultFile, ...]]:
        """All steps of one job."""
        prompt_id = self.submit(template, spec, self.upload(spec))
        return self.fetch(template, spec, prompt_id, self.until_over(prompt_id))

    def path_of(self, file: ResultFile) -> Path:
        """Where a result lies on the pod, which is this machine."""
        source = file.source
        return Path(self.address.comfyui_dir, source.folder, source.subfolder, source.filename)


def _deadline() -> Deadline:
    return Deadline(_CLOCK, _WITHIN_S)


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    home = tmp_path_factory.mktemp("home")
    provider = LocalProvider(home / "pods", clock=_CLOCK)
    key, link, deadline = load_key(own_key_path(home)), PodLink(), _deadline()
    events: list[MonitorEvent] = []
    changed = threading.Condition()

    def keep(event: MonitorEvent) -> None:
        with changed:
            events.append(event)
            changed.notify_all()

    try:
        made = provider.create(
            PodOrder(name="pod", offer=provider.offers(OfferQuery())[0], public_key=public_line(key))
        )
        address = launch.wait_address(provider, made.provider_id, deadline=deadline, clock=_CLOCK, abort=link.abort)
        launch.open_line(link, address, key, deadline=deadline, clock=_CLOCK)
        launch.open_comfyui(link, wanted_port=0, on_lost=lambda: None, on_event=keep, deadline=deadline, clock=_CLOCK)
        assert link.connection is not None
        assert link.client is not None
        assert link.monitor is not None
        yield Pod(address, link.client, link.monitor, PodFiles(link.connection), events, changed)
    finally:
        link.close()
        provider.terminate("pod")
        provider.close()
    assert not left_of(home, 5.0)


def _node(kind: str, title: str = "", **inputs: object) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title or kind}}


def _saved(source: str, title: str = "output.picture") -> dict[str, Any]:
    return _node("SaveImage", title, images=[source, 0], filename_prefix="test/picture")


_NOISE = {
    "1": _node("EmptyImage", width=16, height=16, batch_size="{param.batch=1}", color=8421504),
    "2": _node("ImageAddNoise", image=["1", 0], seed="{param.seed=1}", strength=0.5),
    "3": _saved("2"),
}
_DIVIDES_BY_ZERO = {
    "11": _node("EmptyImage", width=128, height=128, batch_size=1, color=1),
    "12": _node("VAELoader", vae_name="pixel_space"),
    "13": _node(
        "VAEEncodeTiled",
        pixels=["11", 0],
        vae=["12", 0],
        tile_size=64,
        overlap=32,
        temporal_size=64,
        temporal_overlap=8,
    ),
    "14": _node("VAEDecode", samples=["13", 0], vae=["12", 0]),
    "15": _saved("14", "output.broken"),
}


def _template(folder: Path, graph: Mapping[str, object]) -> WorkflowTemplate:
    path = folder / "graph.json"
    path.write_text(json.dumps(graph))
    return load_template(path)


def _spec(folder: Path, *outputs: str, **params: Any) -> JobSpec:
    return JobSpec(
        job_id="job",
        workflow_template="graph",
        params=params,
        outputs={name: folder / f"{name}.png" for name in outputs or ("picture",)},
    )


def _fresh() -> int:
    return uuid.uuid4().int >> 80


def test_a_photograph_becomes_a_video_that_is_the_one_on_the_pod(pod: Pod, tmp_path: Path) -> None:
    template = load_template(find_template("img2vid-basic", cwd=_ROOT))
    spec = JobSpec(
        job_id="job",
        workflow_template="img2vid-basic",
        inputs={"image": _ROOT / "jobs" / "inputs" / "portrait.jpg"},
        params={"width": 64, "height": 64, "seed": _fresh()},
        outputs={"video": tmp_path / "out" / "video.mp4"},
    )
    result, (video,) = pod.run(template, spec)
    assert result.outcome is PromptOutcome.SUCCESS
    assert video.path == tmp_path / "out" / "video.mp4"
    assert (video.output, video.verified, video.bytes) == ("video", Verified.SHA256, video.path.stat().st_size)
    assert video.path.read_bytes() == pod.path_of(video).read_bytes()
    assert video.sha256 == hashlib.sha256(video.path.read_bytes()).hexdigest()
    assert [each.name for each in video.path.parent.iterdir()] == ["video.mp4"], "no part is left"


class TestInputs:
    def _input(self, folder: Path, content: bytes) -> JobSpec:
        (folder / "a photo.png").write_bytes(content)
        return replace(_spec(folder), inputs={"image": folder / "a photo.png"})

    def test_an_input_lies_in_comfyuis_own_folder_under_the_name_that_the_workflow_gets(
        self, pod: Pod, tmp_path: Path
    ) -> None:
        ((name, remote),) = pod.upload(self._input(tmp_path, b"one"))
        assert name == "image"
        assert remote.startswith("autopod/")
        assert Path(pod.address.comfyui_dir, "input", remote).read_bytes() == b"one"

    def test_what_is_there_is_not_sent_again_and_other_content_gets_another_name(
        self, pod: Pod, tmp_path: Path
    ) -> None:
        first = pod.upload(self._input(tmp_path, b"two"))
        path = Path(pod.address.comfyui_dir, "input", first[0][1])
        before = path.stat()
        assert pod.upload(self._input(tmp_path, b"two")) == first
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert pod.upload(self._input(tmp_path, b"three")) != first
        assert path.read_bytes() == b"two"

    def test_all_inputs_of_a_job_travel_together_and_tell_how_far_they_are(self, pod: Pod, tmp_path: Path) -> None:
        contents = {f"input{number}": uuid.uuid4().bytes * 10_000 for number in range(5)}
        for name, content in contents.items():
            (tmp_path / f"{name}.png").write_bytes(content)
        spec = replace(_spec(tmp_path), inputs={name: tmp_path / f"{name}.png" for name in contents})
        seen: list[tuple[int, int]] = []
        names = run.upload_inputs(
            pod.files,
            spec,
            pod.address,
            deadline=_deadline(),
            stop=_NEVER,
            on_bytes=lambda done, size: seen.append((done, size)),
        )
        assert [name for name, _ in names] == list(contents)
        found = {name: Path(pod.address.comfyui_dir, "input", remote).read_bytes() for name, remote in names}
        assert found == contents
        assert seen == sorted(seen)
        assert seen[-1] == (800_000, 800_000)

    def test_what_the_pod_rendered_is_an_input_that_needs_not_travel(self, pod: Pod, tmp_path: Path) -> None:
        _, (picture,) = pod.run(_template(tmp_path, _NOISE), _spec(tmp_path, seed=_fresh()))
        ((_, remote),) = pod.upload(replace(_spec(tmp_path), inputs={"image": picture.path}))
        there = Path(pod.address.comfyui_dir, "input", remote)
        assert there.samefile(pod.path_of(picture))

    def test_a_file_that_is_not_here_is_named(self, pod: Pod, tmp_path: Path) -> None:
        spec = replace(_spec(tmp_path), inputs={"image": tmp_path / "missing.png"})
        with pytest.raises(TransferError, match=r"missing\.png"):
            pod.upload(spec)


class TestSubmit:
    def test_a_refused_workflow_is_told_and_not_followed(self, pod: Pod, tmp_path: Path) -> None:
        template = _template(tmp_path, {"1": _node("AutopodNoSuchNode"), "2": _saved("1")})
        with pytest.raises(PromptRefused, match="AutopodNoSuchNode"):
            pod.submit(template, _spec(tmp_path))

    def test_an_output_that_will_be_left_out_is_told_although_the_rest_runs(self, pod: Pod, tmp_path: Path) -> None:
        broken = {"21": _node("ImageInvert"), "22": _saved("21", "output.broken")}
        prompt_id = str(uuid.uuid4())
        spec = _spec(tmp_path, seed=_fresh())
        template = _template(tmp_path, _NOISE | broken)
        told = run.submit(pod.client, pod.monitor, template, spec, names=(), prompt_id=prompt_id)
        assert told
        assert pod.until_over(prompt_id).outcome is PromptOutcome.SUCCESS

    def test_an_answer_that_is_lost_counts_as_posted_and_the_monitor_tells_that_it_is_not_there(
        self, pod: Pod, tmp_path: Path
    ) -> None:
        prompt_id = str(uuid.uuid4())
        spec, template = _spec(tmp_path, seed=_fresh()), _template(tmp_path, _NOISE)
        with ScriptedServer(lambda _: Answer(cut_after=-1)) as deaf:
            client = ComfyClient(deaf.url, clock=_Hasty(), timeout_s=5)
            assert run.submit(client, pod.monitor, template, spec, names=(), prompt_id=prompt_id) == ()
            client.close()
            assert [each.method for each in deaf.requests].count("POST") == 1
        with pod.changed:
            vanished = PromptVanished(prompt_id=prompt_id, may_have_run=False)
            assert pod.changed.wait_for(lambda: vanished in pod.events, _WITHIN_S)


class TestFetch:
    def test_several_files_of_one_output_are_numbered(self, pod: Pod, tmp_path: Path) -> None:
        _, files = pod.run(_template(tmp_path, _NOISE), _spec(tmp_path, seed=_fresh(), batch=3))
        assert [each.path.name for each in files] == ["picture-00001.png", "picture-00002.png", "picture-00003.png"]
        assert all(each.path.read_bytes() == pod.path_of(each).read_bytes() for each in files)

    def test_progress_is_of_all_files_together(self, pod: Pod, tmp_path: Path) -> None:
        template, spec = _template(tmp_path, _NOISE), _spec(tmp_path, seed=_fresh(), batch=3)
        prompt_id = pod.submit(template, spec)
        result, seen = pod.until_over(prompt_id), list[tuple[int, int]]()
        for _ in range(2):  # also when they are here already
            seen.clear()
            _, files = run.fetch(
                pod.client,
                pod.files,
                template,
                spec,
                pod.address,
                result=result,
                deadline=_deadline(),
                on_bytes=lambda done, size: seen.append((done, size)),
            )
            size = sum(each.bytes for each in files)
            assert len(seen) >= 3
            assert seen == sorted(seen)
            assert seen[-1] == (size, size)

    def test_without_a_result_at_hand_the_history_is_read(self, pod: Pod, tmp_path: Path) -> None:
        template, spec = _template(tmp_path, _NOISE), _spec(tmp_path, seed=_fresh())
        prompt_id = pod.submit(template, spec)
        over = pod.until_over(prompt_id)
        result, files = pod.fetch(template, spec, prompt_id)
        assert (result, len(files)) == (over, 1)

    def test_a_second_try_takes_what_the_first_one_brought(self, pod: Pod, tmp_path: Path) -> None:
        template, spec = _template(tmp_path, _NOISE), _spec(tmp_path, seed=_fresh())
        prompt_id = pod.submit(template, spec)
        _, first = pod.fetch(template, spec, prompt_id, pod.until_over(prompt_id))
        before = first[0].path.stat()
        _, second = pod.fetch(template, spec, prompt_id)
        assert second == first
        after = first[0].path.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert [each.name for each in tmp_path.glob("*.png")] == ["picture.png"]

    def test_another_picture_of_that_name_is_kept(self, pod: Pod, tmp_path: Path) -> None:
        (tmp_path / "picture.png").write_bytes(b"mine")
        _, (file,) = pod.run(_template(tmp_path, _NOISE), _spec(tmp_path, seed=_fresh()))
        assert file.path.name == "picture-2.png"
        assert (tmp_path / "picture.png").read_bytes() == b"mine"

    def test_what_was_made_before_an_error_is_brought(self, pod: Pod, tmp_path: Path) -> None:
        result, files = pod.run(
            _template(tmp_path, _NOISE | _DIVIDES_BY_ZERO), _spec(tmp_path, "picture", "broken", seed=_fresh())
        )
        assert result.outcome is PromptOutcome.ERROR
        assert result.fault is not None
        assert result.fault.exception_type == "ZeroDivisionError"
        assert [each.output for each in files] == ["picture"]

    def test_a_prompt_that_nobody_knows_is_lost(self, pod: Pod, tmp_path: Path) -> None:
        with pytest.raises(ResultLost, match="run the job again"):
            pod.fetch(_template(tmp_path, _NOISE), _spec(tmp_path), str(uuid.uuid4()))

    def test_what_the_server_has_forgotten_is_taken_from_its_saved_history_and_only_then_from_what_was_seen(
        self, pod: Pod, tmp_path: Path
    ) -> None:
        template, spec = _template(tmp_path, _NOISE), _spec(tmp_path, seed=_fresh())
        prompt_id = pod.submit(template, spec)
        over = pod.until_over(prompt_id)
        with urlopen(f"http://127.0.0.1:{pod.address.comfyui_port}/history") as answer:
            history = json.load(answer)
        forgotten = str(uuid.uuid4())
        saved = {forgotten: history[prompt_id]}
        seen = over.files[:1]
        found = run.read_result(pod.client, forgotten, saved=lambda: saved, made=())
        assert (found.outcome, found.files) == (over.outcome, over.files)
        assert run.read_result(pod.client, forgotten, saved=dict, made=seen).files == seen
        assert run.read_result(pod.client, prompt_id, saved=pytest.fail, made=()) == over, "it is not asked for"

    def test_a_file_that_is_gone_from_the_pod_is_lost_and_the_others_are_brought(
        self, pod: Pod, tmp_path: Path
    ) -> None:
        template, spec = _template(tmp_path, _NOISE), _spec(tmp_path, seed=_fresh(), batch=3)
        prompt_id = pod.submit(template, spec)
        result = pod.until_over(prompt_id)
        gone = result.files[0]
        Path(pod.address.comfyui_dir, gone.folder, gone.subfolder, gone.filename).unlink()
        with pytest.raises(ResultLost, match=gone.filename):
            pod.fetch(template, spec, prompt_id, result)
        assert sorted(each.name for each in tmp_path.glob("*.png")) == ["picture-00002.png", "picture-00003.png"]

    def test_an_output_without_a_file_is_lost_and_the_others_are_brought(self, pod: Pod, tmp_path: Path) -> None:
        template = _template(tmp_path, _NOISE | {"9": _node("EmptyImage", "Nobody wants it", width=16, height=16)})
        spec = _spec(tmp_path, "9", "picture", seed=_fresh())
        with pytest.raises(ResultLost, match=r"Nobody wants it \(node 9\) made no file for output '9'"):
            pod.run(template, spec)
        assert [each.name for each in tmp_path.glob("*.png")] == ["picture.png"]

    def test_while_comfyui_cannot_be_reached_nothing_is_lost(self, pod: Pod, tmp_path: Path) -> None:
        template, spec = _template(tmp_path, _NOISE), _spec(tmp_path, seed=_fresh())
        prompt_id = pod.submit(template, spec)
        result = pod.until_over(prompt_id)
        with ScriptedServer(lambda _: Answer(cut_after=-1)) as deaf:
            cut_off = replace(pod, client=ComfyClient(deaf.url, clock=_Hasty(), timeout_s=5))
            with pytest.raises((TransferError, AnswerLost)):
                cut_off.fetch(template, spec, prompt_id, result)
            with pytest.raises(AnswerLost):
                cut_off.fetch(template, spec, prompt_id)
            cut_off.client.close()
        assert list(tmp_path.glob("*.png")) == []
        assert len(pod.fetch(template, spec, prompt_id, result)[1]) == 1

    def test_where_the_pod_cannot_make_checksums_a_decode_has_to_do(self, pod: Pod, tmp_path: Path) -> None:
        """Its files are not where its address says, so that no sum can be had of them."""
        template, spec = _template(tmp_path, _NOISE), _spec(tmp_path, seed=_fresh())
        elsewhere = replace(pod, address=replace(pod.address, comfyui_dir="/nowhere"))
        prompt_id = pod.submit(template, spec)
        _, (file,) = elsewhere.fetch(template, spec, prompt_id, pod.until_over(prompt_id))
        assert file.verified is Verified.DECODED
        assert file.path.read_bytes() == pod.path_of(file).read_bytes()
