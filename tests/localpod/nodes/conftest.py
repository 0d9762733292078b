"""The stand that tests of nodes work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from autopod_nb.localpod.nodes.simulation import GPU_VARIABLE
from tests.localpod.nodes.workbench import Workbench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.delenv(GPU_VARIABLE, raising=False)
    return Workbench(tmp_path)
