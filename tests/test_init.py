"""The package's front door: names that load when used, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import autopod_nb

HEAVY = ("pandas", "numpy", "pydantic", "ipywidgets", "requests", "paramiko", "ruamel", "websocket", "PIL", "asyncio")


def fresh(code: str) -> list[str]:
    """The list that *code* prints as JSON, in a Python of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", autopod_nb.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(autopod_nb, name) is not None
    assert name in dir(autopod_nb)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        autopod_nb.nonsense  # noqa: B018 - the access is the test


def test_importing_loads_none_of_our_modules_and_nothing_heavy() -> None:
    loaded = fresh(
        "import sys, json\nbefore = set(sys.modules)\nimport autopod_nb\n"
        "print(json.dumps([*set(sys.modules) - before]))"
    )
    assert [name for name in loaded if name.startswith("autopod_nb.")] == []
    assert [name for name in loaded if name.split(".")[0] in HEAVY] == []


def test_loading_the_extension_imports_only_ours_and_the_standard_library_and_starts_no_thread(home: Path) -> None:
    """Of the floors below only the glance at the ledger, which is not even read where there is none."""
    loaded = fresh(
        "import sys, json, threading\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "before, threads = set(sys.modules), threading.active_count()\n"
        "shell.run_line_magic('load_ext', 'autopod_nb')\n"
        "assert threading.active_count() == threads\n"
        "print(json.dumps([*set(sys.modules) - before]))"
    )
    assert "autopod_nb.magics.extension" in loaded
    tops = {name.split(".")[0] for name in loaded}
    assert tops - sys.stdlib_module_names - {"autopod_nb", "IPython"} == set()
    below = ("autopod_nb.session", "autopod_nb.widgets", "autopod_nb.storage", "autopod_nb.models")
    found = {name for name in loaded if name.startswith(below)}
    assert found == {"autopod_nb.session", "autopod_nb.session.glance"}
    assert not home.exists()
