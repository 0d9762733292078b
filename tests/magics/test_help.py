"""Help in a notebook and in a terminal, and what ``?`` says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from autopod_nb.magics.autopod import AutopodMagics
from autopod_nb.magics.comfyjob import ComfyjobMagics
from autopod_nb.magics.text import Page
from autopod_nb.verbs import BY_NAME, CELL, help_text
from tests.magics.cells import refusal, worth
from tests.magics.kernel import Kernel

ROOT = Path(__file__).parents[2]
DOCS = {"autopod": AutopodMagics.autopod.__doc__ or "", "comfyjob": ComfyjobMagics.comfyjob.__doc__ or ""}


def commands(doc: str) -> list[str]:
    """The lines of a docstring that begin with a magic, without their explanation."""
    lines = [line.strip() for line in doc.splitlines()]
    return [re.split(r"\s{2,}", line)[0] for line in lines if line.startswith("%")]


@pytest.mark.parametrize(("line", "verb"), [("", None), ("kill", "kill"), ("comfyjob", "comfyjob")])
def test_help_is_html_for_a_notebook_and_the_same_text_as_ever_for_a_terminal(
    shell: InteractiveShell, line: str, verb: str | None
) -> None:
    page = worth(shell, f"%autopod help {line}")
    assert isinstance(page, Page)
    assert repr(page) == help_text({**BY_NAME, CELL.name: CELL}.get(verb or ""))
    assert page._repr_html_().startswith("<section")


def test_help_for_what_is_not_there_names_the_nearest(shell: InteractiveShell) -> None:
    assert "has no verb 'kil'. Did you mean 'kill'?" in refusal(shell, "%autopod help kil")


@pytest.mark.parametrize(
    "code", ["%autopod kill --help", "%%comfyjob img2vid-basic --help\nx: 1", "%autopod help kill"]
)
def test_a_kernel_shows_help_as_html_with_the_text_beside_it(kernel: Kernel, code: str) -> None:
    ran = kernel.run(code)
    assert ran.ok
    bundle = ran.result or ran.displays[0]
    assert bundle["text/html"].startswith("<section")
    assert "[--" in bundle["text/plain"]
    assert not ran.text.strip(), "not printed as well"


@pytest.mark.parametrize("name", DOCS)
def test_the_docstring_names_five_commands_and_an_example_cell_that_exist(name: str) -> None:
    found = commands(DOCS[name])
    assert len(found) == 6
    for line in found:
        magic, *words = line.split()
        verb = CELL if magic == CELL.command else BY_NAME[words[0]]
        options = {option.name for option in verb.options}
        assert {word for word in words if word.startswith("-")} <= options
        assert {word for word in words if word.isupper() and word.isalpha()} <= options
    for mentioned in re.findall(r"%autopod (\w+)", DOCS[name]):
        assert mentioned in BY_NAME


@pytest.mark.parametrize("name", DOCS)
def test_the_docstring_fits_a_narrow_pager(name: str) -> None:
    assert max(map(len, inspect.cleandoc(DOCS[name]).splitlines())) <= 100


@pytest.mark.parametrize("name", DOCS)
def test_the_example_cell_of_a_docstring_is_a_job_as_it_stands(
    shell: InteractiveShell, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "portrait.jpg").write_bytes((ROOT / "jobs" / "inputs" / "portrait.jpg").read_bytes())
    doc = inspect.cleandoc(DOCS[name])
    found = re.search(r"^    (%%comfyjob img2vid-basic.*)\n((?:    .+\n)+)", doc, re.MULTILINE)
    assert found
    body = inspect.cleandoc("\n" + found[2])
    text = str(worth(shell, f"{found[1]} --dry-run\n{body}"))
    assert "nothing was made" in text


@pytest.mark.parametrize(("asked", "name"), [("%autopod", "autopod"), ("%%comfyjob", "comfyjob")])
def test_a_question_mark_shows_the_docstring(shell: InteractiveShell, asked: str, name: str) -> None:
    found = shell.object_inspect(asked)  # type: ignore[no-untyped-call]  # IPython is half typed
    assert found["docstring"] == inspect.cleandoc(DOCS[name])


@pytest.mark.parametrize("line", ["", "--help", "-h"])
def test_without_a_verb_the_list_of_all_comes(shell: InteractiveShell, line: str) -> None:
    assert repr(worth(shell, f"%autopod {line}")) == help_text()
