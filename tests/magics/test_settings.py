"""The settings, shown and changed from IPython."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.magics.cells import refusal, worth
from tests.magics.kernel import Kernel, start_kernel


@pytest.fixture(autouse=True)
def folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test."""
    for name in ("AUTOPOD_IDLE_MINUTES", "VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AUTOPOD_HOME", str(tmp_path))
    return tmp_path


def test_every_setting_is_shown_with_its_value_and_where_it_comes_from(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOPOD_IDLE_MINUTES", "7")
    found = worth(shell, "%autopod config")
    rows = {line.split()[0]: line.split("  ") for line in str(found).splitlines()}
    assert rows["defaults.idle_minutes"][-1].strip() == "environment AUTOPOD_IDLE_MINUTES"
    assert rows["defaults.stuck_minutes"][-1].strip() == "default"
    assert "which is not there yet" in str(found)
    assert "<table" in found._repr_html_()  # type: ignore[attr-defined]  # a Page


def test_a_setting_is_set_shown_and_taken_back(shell: InteractiveShell, folder: Path) -> None:
    worth(shell, "%autopod config set defaults.gpu_preferences A40, RTX 4090")
    text = str(worth(shell, "%autopod config get defaults.gpu_preferences"))
    assert text == "defaults.gpu_preferences = A40,RTX 4090 (config.json)"
    document = json.loads(Path(str(worth(shell, "%autopod config path"))).read_text())
    assert document == {"defaults": {"gpu_preferences": ["A40", "RTX 4090"]}}
    assert "(default)" in str(worth(shell, "%autopod config unset defaults.gpu_preferences"))


def test_what_the_environment_overrides_is_said(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOPOD_IDLE_MINUTES", "7")
    text = str(worth(shell, "%autopod config set defaults.idle_minutes 3"))
    assert text.endswith("But environment AUTOPOD_IDLE_MINUTES says 7, and that counts.")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gett", "Did you mean 'get'?"),
        ("set", "which setting?"),
        ("set defaults.idle_minutes", "to which value?"),
        ("set defaults.idle_minutes never", "must be a number above 0"),
        ("set idle_minute 5", "Did you mean 'defaults.idle_minutes'?"),
        ("get defaults.idle_minutes 5", "'5' is one word too many"),
        ("path x", "'x' is one word too many"),
        ("unset", "which setting?"),
        ("set providers.runpod.api_key rpa_0123456789", "A key in a cell stays in the notebook"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    shell: InteractiveShell, folder: Path, line: str, words: str
) -> None:
    assert words in refusal(shell, f"%autopod config {line}")
    assert not (folder / "config.json").exists()


def test_where_no_editor_can_be_opened_the_file_is_made_and_named(shell: InteractiveShell, folder: Path) -> None:
    assert str(folder / "config.json") in str(worth(shell, "%autopod config edit"))
    assert json.loads((folder / "config.json").read_text()) == {}


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kernel, Path]]:
    """A kernel, and its home."""
    folder = tmp_path_factory.mktemp("asking")
    with start_kernel(folder) as kernel:
        kernel.run("%load_ext autopod_nb")
        yield kernel, folder


def test_a_key_is_asked_for_and_stands_in_no_cell_and_no_output(asking: tuple[Kernel, Path]) -> None:
    kernel, home = asking
    line = "%autopod config set providers.runpod.api_key"
    kernel.client.allow_stdin = True
    asked = kernel.start(line)
    request = kernel.client.get_stdin_msg(timeout=30)
    assert request["content"]["password"]
    kernel.client.input("rpa_ABCDEFGH12345678")
    output = kernel.finish(asked)
    assert output.ok
    shown = output.text + str(output.result) + str(kernel.run("%autopod config").result)
    assert "ABCDEFGH" not in shown
    assert "set (hidden)" in shown
    assert "rpa_ABCDEFGH12345678" in (home / "config.json").read_text()
    assert (home / "config.json").stat().st_mode & 0o777 == 0o600


def test_where_nobody_can_be_asked_that_is_one_line(asking: tuple[Kernel, Path]) -> None:
    kernel, _ = asking
    kernel.client.allow_stdin = False
    output = kernel.run("%autopod config set providers.runpod.api_key")
    assert not output.ok
    assert output.text.startswith("UsageError: Nobody can be asked for the key here")
