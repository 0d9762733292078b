"""The magics in a real kernel, seen from a front end: live panels, clicks, what a saved notebook keeps."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.magics.kernel import Kernel

PORTRAIT = Path(__file__).parents[2] / "jobs" / "inputs" / "portrait.jpg"
WIDGET = "application/vnd.jupyter.widget-view+json"


def cell(options: str, *, size: int = 256) -> str:
    """A cell that makes a video of so many pixels."""
    params = f"params:\n  width: {size}\n  height: {size}"
    return f"%%comfyjob img2vid-basic {options}\ninputs:\n  image: {PORTRAIT}\n{params}\n"


@pytest.fixture(scope="module", autouse=True)
def in_a_folder_of_its_own(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert kernel.run(f"import os; os.chdir({str(tmp_path_factory.mktemp('work'))!r})").ok


def test_a_mistake_is_one_line_and_the_cell_fails(kernel: Kernel) -> None:
    output = kernel.run("%autopod conect")
    assert not output.ok
    assert output.text == "UsageError: %autopod has no verb 'conect'. Did you mean 'connect'?\n"
    assert output.error == []


def test_a_pod_is_rented_with_a_live_panel_that_has_a_text_and_an_html_form(kernel: Kernel) -> None:
    output = kernel.run("%autopod connect")
    assert output.ok
    assert WIDGET in output.result
    assert "$0.40 an hour simulated" in output.result["text/plain"]
    assert "<section" in output.result["text/html"]
    kernel.until(lambda: kernel.shows("● ready"))


def test_a_job_returns_at_once_and_in_the_end_the_notebook_holds_the_video(kernel: Kernel) -> None:
    output = kernel.run(cell("--name one -o clip"))
    assert output.ok
    assert [WIDGET in display for display in output.displays] == [True, False], "the second stands in for the first"
    assert "Job one" in output.displays[0]["text/plain"]
    assert output.result == {}
    kernel.until(lambda: WIDGET not in output.displays[0])
    assert output.displays[0]["text/plain"].startswith("Job one (img2vid-basic): done")
    video = output.displays[0]["text/html"].split('src="data:video/mp4;base64,')[1].split('"')[0]
    assert base64.b64decode(video)[4:8] == b"ftyp"
    assert kernel.run("assert clip.outputs['video'][0].is_file() and clip.cost_usd > 0").ok
    assert WIDGET in kernel.run("clip").result
    assert 100.0 in kernel.values("FloatProgressModel")
    assert "VideoModel" in {state.get("_model_name") for state in kernel.widgets.values()}


def test_without_a_variable_the_cell_is_worth_the_handle_and_shows_one_panel(kernel: Kernel) -> None:
    output = kernel.run(cell("--name two"))
    assert [WIDGET in display for display in output.displays] == [True, False]
    assert list(output.result) == ["text/plain"]
    assert kernel.run("assert _.job_id == 'two'; _.wait(30)").ok
    shown = kernel.run("autopod_nb = __import__('autopod_nb'); autopod_nb.current_session().job('two')")
    assert WIDGET in shown.result


def test_a_sweep_has_one_panel_and_in_the_end_one_card_with_all_results(kernel: Kernel) -> None:
    sweep = "  seed: [1, 2]\n"
    output = kernel.run(cell("--name pair", size=64) + f"sweep:\n{sweep}")
    assert output.ok
    assert [WIDGET in display for display in output.displays] == [True, False]
    assert output.result == {"text/plain": "<Batch of 2 jobs>"}
    kernel.until(lambda: WIDGET not in output.displays[0])
    card = output.displays[0]
    assert card["text/plain"].startswith("pair: 2 jobs · 2 done")
    assert card["text/html"].count("<video controls") == 2
    assert "seed=1</figcaption>" in card["text/html"]
    assert WIDGET in kernel.run("_").result


def test_waiting_prints_progress_and_leaves_only_the_card(kernel: Kernel) -> None:
    output = kernel.run(cell("--name three --wait"))
    assert output.ok
    assert "three: done" in output.text
    assert [list(display) for display in output.displays] == [["text/plain", "text/html"]] * 2
    assert output.displays[1]["text/html"].endswith("hidden></div>"), "a card needs nobody to stand in for it"
    assert "<video controls" in output.displays[0]["text/html"]


def test_a_failed_job_fails_the_cell_with_one_line_and_keeps_its_card(kernel: Kernel) -> None:
    output = kernel.run(cell("--name four --wait --timeout 0.001", size=1024))
    assert not output.ok
    assert len(output.error) == 1
    assert output.error[0].startswith("JobFailed: four")
    assert "four" in output.displays[0]["text/html"]


def test_an_interrupt_gives_the_prompt_back_and_says_what_bills(kernel: Kernel) -> None:
    running = kernel.start(cell("--name five --wait", size=1024))
    kernel.until(lambda: kernel.shows("five"))
    kernel.manager.interrupt_kernel()
    output = kernel.finish(running)
    assert not output.ok
    assert len(output.error) == 1
    assert "The work goes on." in output.error[0]
    assert "may still bill: `%autopod stop`" in output.error[0]


def test_a_click_runs_while_a_cell_runs_and_kill_wants_a_second_press(kernel: Kernel) -> None:
    """The cell that waits ends because of the click, so the click cannot have waited for the cell."""
    kernel.run(cell("--name six", size=1024))
    kernel.run("%autopod status")
    subshell_id = kernel.make_subshell()
    # the pod has what the job wants, so that there is something to lose
    assert kernel.run("session = autopod_nb.current_session()\n"
                      "while session.job('six').view.state.value in ('queued', 'uploading'):\n"
                      "    session.wait_newer(session.snapshot.number, 1)").ok  # fmt: skip
    kernel.until(lambda: kernel.shows("● busy"))
    busy = kernel.start("session = autopod_nb.current_session()\n"
                        "while not all(pod.over for pod in session.snapshot.pods.values()):\n"
                        "    session.wait_newer(session.snapshot.number, 1)")  # fmt: skip
    kernel.click("Kill pod", subshell_id=subshell_id)
    kernel.until(lambda: kernel.shows("Press again within 5 s"))
    kernel.click("Kill anyway", subshell_id=subshell_id)
    assert kernel.finish(busy).ok
    kernel.until(lambda: kernel.shows("● terminated"))


def test_without_ipywidgets_text_and_html_stand_in(kernel: Kernel) -> None:
    assert kernel.run("import sys; kept = sys.modules['ipywidgets']; sys.modules['ipywidgets'] = None").ok
    status = kernel.run("%autopod status")
    job = kernel.run(cell("--name seven --wait -o seven"))
    assert kernel.run("sys.modules['ipywidgets'] = kept").ok
    assert sorted(status.result) == ["text/html", "text/plain"]
    assert "seven: done" in job.text
    assert [sorted(display) for display in job.displays] == [["text/html", "text/plain"]]
    assert "<video controls" in job.displays[0]["text/html"]


def test_after_the_last_pod_no_thread_of_ours_draws(kernel: Kernel) -> None:
    code = (
        "import threading\n"
        "from autopod_nb.widgets.pump import the_pump\n"
        "pause = threading.Event()\n"
        "for _ in range(100):\n"
        "    if not the_pump().alive: break\n"
        "    pause.wait(0.1)\n"
        "assert not the_pump().alive"
    )
    assert kernel.run(code).ok
