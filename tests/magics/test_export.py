"""The history as a file or a frame."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.magics.cells import refusal, run, worth, write_templates


@pytest.fixture(scope="module", autouse=True)
def history(shell: InteractiveShell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One job that was done."""
    folder = tmp_path_factory.mktemp("work")
    write_templates(folder / "templates", "noise")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result, text = run(shell, "%%comfyjob noise --name ä,b --wait\nparams: {}")
        assert not result.success, "a comma is no part of a job's name"
        result, text = run(shell, "%%comfyjob noise --name first --wait\nparams: {}")
        assert result.success, text
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, an empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_options_a_csv_file_is_written_and_none_is_overwritten(shell: InteractiveShell, folder: Path) -> None:
    assert str(worth(shell, "%autopod export")) == "Wrote 1 attempt to autopod-history.csv."
    assert str(worth(shell, "%autopod export")) == "Wrote 1 attempt to autopod-history-2.csv."
    first, second = (folder / name for name in ("autopod-history.csv", "autopod-history-2.csv"))
    assert first.read_bytes() == second.read_bytes()
    (row,) = csv.DictReader(first.read_text().splitlines())
    assert (row["job_id"], row["state"], row["kind"]) == ("first", "done", "simulated")
    assert json.loads(row["outputs"])[0].endswith("outputs/first/picture.png")


def test_the_name_of_the_file_says_the_format(shell: InteractiveShell, folder: Path) -> None:
    worth(shell, "%autopod export --output costs.json")
    (row,) = json.loads((folder / "costs.json").read_text())
    assert row["job_id"] == "first"
    assert row["outputs"][0].endswith("picture.png")
    assert row["submitted"].endswith("Z")


def test_alone_a_variable_gets_the_frame_and_no_file_is_written(shell: InteractiveShell, folder: Path) -> None:
    assert worth(shell, "%autopod export -o costs") is None
    assert isinstance(shell.user_ns["costs"], pd.DataFrame)
    assert list(folder.iterdir()) == []
    assert "Wrote" in str(worth(shell, "%autopod export -o costs --format json"))
    assert [path.name for path in folder.iterdir()] == ["autopod-history.json"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--format xlsx", "--format 'xlsx' is none of csv, parquet, json."),
        ("--output costs.xlsx", "no format is called 'xlsx'; take one of csv, parquet, json."),
        ("--output nowhere/costs.csv", "nowhere/costs.csv cannot be written: No such file or directory"),
    ],
)
def test_a_mistake_is_one_line_and_no_file(shell: InteractiveShell, folder: Path, options: str, words: str) -> None:
    assert words in refusal(shell, f"%autopod export {options}")
    assert list(folder.iterdir()) == []


def test_parquet_is_written_or_its_library_named(shell: InteractiveShell, folder: Path) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        assert "Parquet needs pyarrow: `%pip install pyarrow`" in refusal(shell, "%autopod export --format parquet")
        assert list(folder.iterdir()) == []
    else:
        worth(shell, "%autopod export --format parquet")
        assert list(pd.read_parquet(folder / "autopod-history.parquet")["job_id"]) == ["first"]
