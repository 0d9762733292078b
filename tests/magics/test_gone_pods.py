"""Panels and logs that are asked for of a pod that is gone: one clear line."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from autopod_nb.magics.shown import bundle_of
from tests.magics.cells import refusal, run, session_now, worth, write_templates


@pytest.fixture(scope="module")
def pod_id(shell: InteractiveShell, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pod that made a picture and was terminated then."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_templates(folder / "templates", "noise")
        worth(shell, "%autopod connect")
        run(shell, "%%comfyjob noise --name one --wait -o one\nparams: {}")
        (pod_id,) = session_now().snapshot.pods
        worth(shell, "%autopod kill --yes")
        run(shell, "%autopod wait")
    assert session_now().snapshot.pods[pod_id].over
    return pod_id


@pytest.mark.parametrize("verb", ["gui", "logs", "logs --of-pod", "logs --follow", "stop", "kill", "keep", "detach"])
def test_a_verb_that_wants_it_says_so_in_one_line(shell: InteractiveShell, pod_id: str, verb: str) -> None:
    name, *options = verb.split()
    assert refusal(shell, f"%autopod {name} {pod_id} {' '.join(options)}") == (
        f"UsageError: Pod {pod_id} is gone. No pod is running: `connect` rents one."
    )


@pytest.mark.parametrize("verb", ["gui", "logs", "stop", "kill", "keep"])
def test_without_a_name_it_is_said_that_there_is_none(shell: InteractiveShell, pod_id: str, verb: str) -> None:
    assert refusal(shell, f"%autopod {verb}") == "UsageError: No pod is running: `connect` rents one."


def test_its_job_is_shown_all_the_same(shell: InteractiveShell, pod_id: str) -> None:
    text = str(bundle_of(session_now().job("one"))["text/plain"])
    assert text.startswith("Job one (noise): done")
    assert pod_id not in text


def test_the_session_says_that_it_is_terminated(shell: InteractiveShell, pod_id: str) -> None:
    assert f"{pod_id}: terminated" in str(bundle_of(session_now())["text/plain"])


def test_all_about_it_can_still_be_read(shell: InteractiveShell, pod_id: str) -> None:
    text = str(worth(shell, f"%autopod status {pod_id}"))
    about, jobs = text.split("\nJobs\n")
    assert about.startswith(f"Pod\n  {pod_id}: terminated")
    assert "so far" in about
    assert f"called {session_now().snapshot.pods[pod_id].name} at local" in about
    assert jobs.splitlines()[0].startswith("  one: done")


def test_a_pod_that_there_never_was_has_no_status(shell: InteractiveShell, pod_id: str) -> None:
    assert refusal(shell, "%autopod status nobody") == ("UsageError: No pod 'nobody'. `%autopod status` names them.")
    assert f"Did you mean {pod_id!r}?" in refusal(shell, f"%autopod status {pod_id}0")
    assert (
        refusal(shell, f"%autopod status {pod_id} --json")
        == "UsageError: --json tells of everything: leave out the pod."
    )
