"""Loading and unloading: what was registered is taken back, and twice is as good as once."""

from __future__ import annotations

from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from autopod_nb.magics.completion import complete


def registered(shell: InteractiveShell) -> tuple[bool, bool, int, int]:
    """Whether the magics are there, and how many matchers and formatters of ours."""
    magics = shell.magics_manager.magics
    assert shell.Completer is not None
    assert shell.display_formatter is not None
    names = shell.display_formatter.mimebundle_formatter.deferred_printers
    matchers = [matcher for matcher in shell.Completer.custom_matchers if matcher is complete]
    ours = [name for name in names if name[0].startswith("autopod_nb")]
    return "autopod" in magics["line"], "comfyjob" in magics["cell"], len(matchers), len(ours)


def test_loading_unloading_and_reloading_leave_one_of_each_or_none(shell: InteractiveShell) -> None:
    assert registered(shell) == (True, True, 1, 4)
    shell.run_line_magic("reload_ext", "autopod_nb")
    assert registered(shell) == (True, True, 1, 4)
    shell.run_line_magic("unload_ext", "autopod_nb")
    assert registered(shell) == (False, False, 0, 0)
    shell.run_line_magic("load_ext", "autopod_nb")
    assert registered(shell) == (True, True, 1, 4)


def test_a_ledger_that_cannot_be_read_is_said_in_one_line_and_the_magics_are_there(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOPOD_HOME", str(tmp_path))
    (tmp_path / "ledger.sqlite3").write_text("no ledger " * 100)
    with capture_output() as captured:
        shell.run_line_magic("reload_ext", "autopod_nb")
    (line,) = captured.stdout.splitlines()
    assert "ledger.sqlite3" in line
    assert registered(shell)[:2] == (True, True)
