"""A job once more: the same values under another name, with results of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from autopod_nb.errors import JobSpecError, UsageError
from autopod_nb.models.job import JobSpec, JobState, PodConfig
from autopod_nb.session.again import next_id, once_more
from autopod_nb.threads import ServiceThread
from tests.session.live import Live

SPEC = JobSpec(
    job_id="portrait",
    workflow_template="tiny",
    inputs={"image": Path("/in/face.jpg")},
    params={"seed": 3},
    outputs={"video": Path("/here/outputs/portrait/video")},
    pod_config=PodConfig(gpu_type="A40"),
    batch="grid",
    swept={"seed": 3},
)


class TestNames:
    @pytest.mark.parametrize(
        ("job_id", "known", "name"),
        [
            ("portrait", {"portrait"}, "portrait-2"),
            ("portrait", {"portrait", "portrait-2"}, "portrait-3"),
            ("portrait-2", {"portrait", "portrait-2"}, "portrait-3"),
            ("portrait-2", {"portrait-2"}, "portrait-2-2"),
            ("grid-001", {"grid-001", "grid-002"}, "grid-001-2"),
            ("grid-001", {"grid", "grid-001"}, "grid-001-2"),
            ("sdxl-lora", {"sdxl", "sdxl-lora"}, "sdxl-lora-2"),
        ],
    )
    def test_it_is_counted_on(self, job_id: str, known: set[str], name: str) -> None:
        assert next_id(job_id, known) == name

    def test_a_long_one_is_cut_to_what_a_name_may_be(self) -> None:
        long = "a" * 64
        first = next_id(long, {long})
        assert first == "a" * 62 + "-2"
        assert next_id(long, {long, first}) == "a" * 62 + "-3"


class TestTheSameJob:
    def test_values_limits_and_files_are_the_same_and_it_belongs_to_no_sweep(self) -> None:
        again = once_more(SPEC, "portrait-2")
        assert again.job_id == "portrait-2"
        assert (again.inputs, again.params, again.pod_config) == (SPEC.inputs, SPEC.params, SPEC.pod_config)
        assert again.workflow_template == SPEC.workflow_template
        assert (again.batch, dict(again.swept)) == ("", {})

    def test_a_folder_of_its_own_gets_its_name_and_a_path_that_a_person_chose_stays(self) -> None:
        assert dict(once_more(SPEC, "x").outputs) == {"video": Path("/here/outputs/x/video")}
        chosen = JobSpec(job_id="portrait", workflow_template="tiny", outputs={"video": Path("/here/portrait/a.mp4")})
        assert dict(once_more(chosen, "x").outputs) == {"video": Path("/here/portrait/a.mp4")}


@pytest.fixture(scope="module")
def shared(open_shared: Callable[..., Live]) -> Live:
    """A session with a pod, and a job that is done."""
    live = open_shared()
    live.rent()
    live.submit("noise", "one").wait(60)
    return live


class TestInASession:
    def test_it_is_run_under_a_new_name_and_what_is_there_is_never_overwritten(self, shared: Live) -> None:
        (first,) = shared.session.job("one").outputs["picture"]
        made = first.read_bytes()
        Image.new("RGB", (8, 8), "red").save(first)  # a person has worked on it
        changed = first.read_bytes()
        again = shared.session.again("one").wait(60)
        assert again.job_id == "one-2"
        assert first.read_bytes() == changed
        assert again.outputs["picture"] == [first.with_name("one-2.png")]
        assert first.with_name("one-2.png").read_bytes() == made, "the same values"

    def test_a_name_may_be_given_and_must_be_one_and_free(self, shared: Live) -> None:
        assert shared.session.again("one", name="better").job_id == "better"
        with pytest.raises(UsageError, match="already in this session"):
            shared.session.again("one", name="better")
        with pytest.raises(JobSpecError, match="job_id"):
            shared.session.again("one", name="../better")
        with pytest.raises(UsageError, match="No job 'nowhere'"):
            shared.session.again("nowhere")
        shared.until_over(shared.session.job("better"))

    def test_the_workflow_is_the_one_that_ran_though_its_file_is_gone(self, shared: Live) -> None:
        file = shared.folder / "templates" / "noise.json"
        text = file.read_text()
        file.unlink()
        try:
            assert shared.session.again("one").wait(60).state is JobState.DONE
        finally:
            file.write_text(text)

    def test_two_at_the_same_time_get_two_names(self, shared: Live) -> None:
        made: list[str] = []
        threads = [
            ServiceThread(f"autopod-test-{number}", lambda _: made.append(shared.session.again("one").job_id)).start()
            for number in range(3)
        ]
        for thread in threads:
            assert thread.join(30)
        assert len(set(made)) == 3
        for job_id in made:
            shared.until_over(shared.session.job(job_id))
