"""A kernel that dies, and the next one that takes over what it had; both real."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from autopod_nb.clock import SystemClock
from tests.magics.cells import write_templates
from tests.magics.kernel import Kernel, start_kernel

WIDGET = "application/vnd.jupyter.widget-view+json"
AIM_S = 5.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both kernels share."""
    folder = tmp_path_factory.mktemp("shared")
    write_templates(folder / "templates", "slow")
    return folder


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Kernel]:
    """A kernel with a pod and a job that runs."""
    with start_kernel(folder) as kernel:
        kernel.run(f"%load_ext autopod_nb\nimport os; os.chdir({str(folder)!r})")
        kernel.run("%autopod connect")
        kernel.until(lambda: kernel.shows("● ready"))
        assert kernel.run("%%comfyjob slow --name long\nparams: {steps: 60}").ok
        kernel.until(lambda: kernel.shows("step"))
        yield kernel


@pytest.fixture(scope="module")
def second(folder: Path, first: Kernel) -> Iterator[Kernel]:
    """The next kernel, started while the first one lives."""
    with start_kernel(folder) as kernel:
        kernel.run(f"import os; os.chdir({str(folder)!r})")
        yield kernel
        kernel.run("import autopod_nb; autopod_nb.close_session()")


def test_loading_says_in_one_line_what_may_bill(second: Kernel) -> None:
    assert second.run("%load_ext autopod_nb").text == (
        "1 pod may bill: `%autopod adopt` takes it over, `%autopod pods` shows it.\n"
    )


def test_a_pod_of_a_kernel_that_lives_is_shown_and_left_alone(first: Kernel, second: Kernel) -> None:
    owner = f"kernel {first.manager.provisioner.pid} on "  # type: ignore[union-attr]  # it runs
    assert owner in second.run("%autopod pods").result["text/plain"]
    left = second.run("%autopod adopt").result["text/plain"]
    assert "nothing to take over" in left
    assert "it was left alone" in left


def test_after_its_death_pod_job_and_panels_come_back(first: Kernel, second: Kernel) -> None:
    process = first.manager.provisioner.process  # type: ignore[union-attr]  # it runs
    process.send_signal(signal.SIGKILL)
    process.wait()
    listed = second.run("%autopod pods").result
    assert "nobody" in listed["text/plain"]
    assert "is nobody's: `%autopod adopt` takes it over." in listed["text/plain"]
    assert "<table" in listed["text/html"]
    begin_s = SystemClock().monotonic()
    output = second.run("%autopod adopt")
    assert output.ok
    assert "Took over pod" in output.text
    assert "Job long: running" in output.text
    assert [WIDGET in display for display in output.displays] == [False, True, True, False]
    assert "Job long" in output.displays[2]["text/plain"]
    second.until(lambda: second.shows("● running"))
    assert SystemClock().monotonic() - begin_s < AIM_S
    second.until(lambda: WIDGET not in output.displays[2])
    assert "Job long (slow): done" in output.displays[2]["text/plain"]
    assert second.run("%autopod wait").ok


def test_what_was_taken_over_is_ours_and_no_line_says_otherwise(second: Kernel) -> None:
    assert "this session" in second.run("%autopod pods").result["text/plain"]
    assert second.run("%reload_ext autopod_nb").text == ""
    assert "nothing to take over" in second.run("%autopod adopt").result["text/plain"]
