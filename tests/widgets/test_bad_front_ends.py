"""Where a part of Jupyter is missing or old, and where a result is not there: words, and never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import ipywidgets as W  # noqa: N812 - as its own documentation does
import pytest

from autopod_nb.models.job import ResultFile
from autopod_nb.widgets import batch, card, media, render
from autopod_nb.widgets.job_panel import result_widgets
from tests.magics.kernel import Kernel, start_kernel
from tests.widgets.test_card import Page
from tests.widgets.views import DONE, RESULT

PORTRAIT = Path(__file__).parents[2] / "jobs" / "inputs" / "portrait.jpg"
OLD = Path(sys.prefix) / "ipywidgets-7.7"
WIDGET = "application/vnd.jupyter.widget-view+json"
STATIC = ["text/html", "text/plain"]
_HUGE_BYTES = 4_000_000_000
_JOB = f"%%comfyjob img2vid-basic --name one {{}}\ninputs:\n  image: {PORTRAIT}\nparams:\n  width: 64\n  height: 64"


@contextmanager
def kernel_with(modules: Path, home: Path) -> Iterator[Kernel]:
    """A kernel that looks for modules in a folder first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(modules), str(Path.cwd())]))
        with start_kernel(home) as kernel:
            assert kernel.run(f"%load_ext autopod_nb\nimport os; os.chdir({str(home)!r})").ok
            yield kernel
            kernel.run("import autopod_nb; autopod_nb.close_session()")


@pytest.fixture
def old_widgets(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel with ipywidgets 7, as Colab has it."""
    if not OLD.is_dir():
        pytest.skip("no ipywidgets 7 for a kernel: make test installs it")
    with kernel_with(OLD, tmp_path) as kernel:
        yield kernel


def test_with_ipywidgets_7_panels_are_still_pictures_and_the_doctor_says_why(old_widgets: Kernel) -> None:
    kernel = old_widgets
    assert kernel.run("import ipywidgets; assert ipywidgets.__version__.startswith('7.')").ok
    connected = kernel.run("%autopod connect")
    assert sorted(connected.result) == STATIC
    assert "● planned" in connected.result["text/html"] or "● booting" in connected.result["text/html"]
    job = kernel.run(_JOB.format("--wait"))
    assert job.ok, job.error
    assert [sorted(display) for display in job.displays] == [STATIC]
    assert "<video controls" in job.displays[0]["text/html"]
    for line in ("status", "panel", "history", "jobs", "logs", "gui", "costs"):
        shown = kernel.run(f"%autopod {line}")
        assert (shown.ok, sorted(shown.result)) == (True, STATIC), line
    doctor = kernel.run("%autopod doctor").result["text/plain"]
    assert "ipywidgets 7.7.5. Fix: `%pip install -U 'ipywidgets>=8'`." in doctor


@pytest.fixture
def no_anywidget(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel that cannot import anywidget."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "anywidget.py").write_text("raise ImportError('not installed')")
    with kernel_with(modules, tmp_path) as kernel:
        yield kernel


def test_without_anywidget_panels_live_and_their_buttons_send_plain_clicks(no_anywidget: Kernel) -> None:
    kernel = no_anywidget
    assert not kernel.run("import anywidget").ok
    assert WIDGET in kernel.run("%autopod connect").result
    kernel.until(lambda: kernel.shows("● ready"))
    shown = kernel.run("%autopod gui").displays[0]
    assert "Directly: http://127.0.0.1:" in shown["text/plain"]
    kernel.until(lambda: kernel.shows("ComfyUI can stand here with anywidget: `pip install anywidget`"))
    kill = next(name for name in kernel.values("ButtonModel", "description") if name.startswith("Kill "))
    kernel.click(kill)
    kernel.until(lambda: kernel.shows("● terminated"))


def gone(path: Path) -> ResultFile:
    """A result whose folder somebody has removed."""
    return replace(RESULT, path=path / "removed" / "portrait.mp4")


def huge(path: Path) -> ResultFile:
    """A video of 4 GB that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(_HUGE_BYTES)
    return replace(RESULT, path=path, bytes=_HUGE_BYTES)


def test_a_result_whose_folder_is_gone_is_said_in_its_card_its_panel_and_its_sheet(tmp_path: Path) -> None:
    view = replace(DONE, results=(gone(tmp_path),))
    page = Page(card.job_html(view, media=media.results_html(view.results)))
    assert "video: portrait.mp4 is not there any more." in page.text
    assert str(tmp_path / "removed" / "portrait.mp4") in page.text, "where it was"
    (words,) = result_widgets(view.results)
    assert isinstance(words, W.HTML)
    assert "is not there any more" in words.value
    sheet = batch.batch_html(batch.BatchView(name="pair", views=(view, view)), gallery=True)
    assert "2 results are not there any more." in Page(sheet).text
    assert "removed/portrait.mp4" in render.job_text(view)


def test_a_video_of_4_gb_is_a_link_with_its_size_and_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    view = replace(DONE, results=(huge(tmp_path / "a film of mine #1.mp4"),))
    html = media.results_html(view.results)
    page = Page(html)
    (link,) = [attrs for tag, attrs in page.tags if tag == "a"]
    assert link["href"] == "a%20film%20of%20mine%20%231.mp4"
    assert "a film of mine #1.mp4 (4.0 GB) is not shown here: it is too large for a notebook." in page.text
    assert len(html) < 1000
    (words,) = result_widgets(view.results)
    assert "4.0 GB" in words.value
    assert "<a " not in words.value, "a widget's links are not those of its notebook"
    assert "(4.0 GB)" in Page(card.job_html(view)).text


def test_a_file_that_lies_elsewhere_has_no_link_for_a_page_cannot_open_it(tmp_path: Path) -> None:
    html = media.results_html([huge(tmp_path / "film.mp4")])
    assert "<a " not in html
    assert "4.0 GB" in html


def test_of_many_results_that_are_not_shown_a_few_are_named(tmp_path: Path) -> None:
    many = [gone(tmp_path / str(number)) for number in range(9)]
    assert "and 4 more that are not shown here." in media.results_html(many)
    assert media.results_html(many).count("is not there any more") == 5
