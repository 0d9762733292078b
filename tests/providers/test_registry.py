"""Providers are found by name through entry points, and nothing is imported until it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autopod_nb.clock import SystemClock
from autopod_nb.config import read_settings
from autopod_nb.errors import ConfigError
from autopod_nb.providers.registry import make_provider, provider_names


@pytest.mark.parametrize("name", provider_names())
def test_each_provider_is_made_by_its_name_without_a_network(name: str, home: Path) -> None:
    provider = make_provider(read_settings({"AUTOPOD_HOME": str(home)}, provider=name), SystemClock())
    assert provider.name == name
    provider.close()


def test_the_nearest_is_named_for_one_that_does_not_exist(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no provider 'loca', only .*Did you mean 'local'"):
        make_provider(read_settings({"AUTOPOD_HOME": str(home)}, provider="loca"), SystemClock())


def test_names_are_found_without_importing_a_provider() -> None:
    code = (
        "import sys\nfrom autopod_nb.providers.registry import provider_names\nnames = provider_names()\n"
        "print([m for m in sys.modules if m.startswith(('autopod_nb.providers.', 'requests', 'paramiko'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "['autopod_nb.providers.registry']"
