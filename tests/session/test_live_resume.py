"""Results that could not be fetched stay on a stopped pod until there is room for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from autopod_nb.errors import JobFailed
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from tests.session.live import Live

pytestmark = pytest.mark.faults


def test_a_stopped_pod_is_started_for_its_results_and_ends_when_they_are_here(tmp_path: Path) -> None:
    """The folder for results becomes a file; the pod is stopped; the next contact fetches them and terminates it."""
    live = Live(tmp_path)
    try:
        pod_id = live.rent()
        live.out.parent.mkdir(parents=True, exist_ok=True)
        job = live.submit("slow", "kept", steps=10)
        live.until_rendering(job)
        live.out.write_text("in the way")
        live.until(lambda snapshot: "cannot be written" in snapshot.jobs["kept"].warning)
        live.session.stop(now=True)
        live.until_pod(pod_id, PodState.STOPPED)
        with pytest.raises(JobFailed, match="on the stopped pod"):
            job.wait(5)
        live.out.unlink()
        adopted, notes = live.session.adopt()
        assert adopted == [pod_id]
        assert "started again" in notes[0]
        assert live.until_over(job).state is JobState.DONE
        assert (live.out / "kept.png").exists()
        live.until_pod(pod_id, PodState.TERMINATED)
        assert not list((live.home / "pods").glob("autopod-*"))
    finally:
        live.close()
