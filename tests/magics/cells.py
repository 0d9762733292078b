"""Cells in IPython in this process: what they are worth, print and refuse."""

from __future__ import annotations

import json
from pathlib import Path

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.utils.capture import capture_output

from autopod_nb.session.build import current_session
from autopod_nb.session.manager import Session
from tests.session.graphs import GRAPHS


def run(shell: InteractiveShell, code: str) -> tuple[ExecutionResult, str]:
    """Run a cell. Returns the result and what was printed."""
    with capture_output() as captured:
        result: ExecutionResult = shell.run_cell(code)  # type: ignore[no-untyped-call]  # IPython is half typed
    return result, captured.stdout + captured.stderr


def worth(shell: InteractiveShell, code: str) -> object:
    """What a cell is worth that must not fail."""
    result, text = run(shell, code)
    assert result.success, text
    return result.result


def refusal(shell: InteractiveShell, code: str) -> str:
    """What a cell says that must fail with one line."""
    result, text = run(shell, code)
    assert not result.success
    *_, line = text.strip().splitlines()
    assert "Traceback" not in text
    return line


def session_now() -> Session:
    """The session of this process."""
    session = current_session()
    assert session is not None
    return session


def write_templates(folder: Path, *names: str) -> None:
    """Put small workflow templates of the session's tests into a folder of one's own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.json").write_text(json.dumps(GRAPHS[name]))
