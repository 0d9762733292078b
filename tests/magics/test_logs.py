"""Logs in IPython, with a pod on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.magics.cells import refusal, run, session_now, worth, write_templates


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory, shell: InteractiveShell) -> Iterator[Path]:
    """The current folder, and a pod that ran one job."""
    folder = tmp_path_factory.mktemp("work")
    write_templates(folder / "templates", "noise")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert "There is no session yet" in refusal(shell, "%autopod logs")
        run(shell, "%autopod connect")
        run(shell, "%autopod wait")
        run(shell, "%%comfyjob noise --name one --wait\nparams: {}")
        yield folder


def test_the_end_of_the_log_is_shown_as_lines_and_as_a_page(shell: InteractiveShell) -> None:
    found = worth(shell, "%autopod logs")
    assert "got prompt" in str(found)
    assert "<pre" in found._repr_html_()  # type: ignore[attr-defined]  # a Page
    assert len(str(worth(shell, "%autopod logs -n 1")).splitlines()) == 1


def test_only_lines_that_match_are_shown_or_it_is_said_that_none_does(shell: InteractiveShell) -> None:
    lines = str(worth(shell, "%autopod logs --grep 'GOT PROMPT|executed'")).splitlines()
    assert len(lines) >= 2
    assert all("got prompt" in line or "executed" in line for line in lines)
    assert str(worth(shell, "%autopod logs --grep nowhere")) == "No line matches."
    assert "is no regular expression" in refusal(shell, "%autopod logs --grep '('")


def test_the_log_of_the_pod_itself_can_be_read(shell: InteractiveShell) -> None:
    assert "<pre" in worth(shell, "%autopod logs --of-pod")._repr_html_()  # type: ignore[attr-defined]  # a Page


def test_without_widgets_lines_are_printed_until_the_pod_ends(shell: InteractiveShell) -> None:
    """The cell ends because the pod does: it is already on its way out when the cell begins."""
    (pod_id,) = session_now().snapshot.pods
    session_now().kill(pod_id, yes=True)
    result, text = run(shell, "%autopod logs --follow")
    assert result.result is None
    assert "(the pod has ended)" in text or "No pod is running" in text
