"""A home of its own for each test, and no process of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leftovers import left_of
from tests.reaper.world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(tmp_path)
    for name in ("AUTOPOD_HOME", "AUTOPOD_TEST_CLOCK"):
        monkeypatch.setenv(name, world.environ[name])
    try:
        yield world
        world.owners_end()
        left = left_of(world.home, 5.0)
        assert not left, f"processes are left: {left}\n{world.log()}"
    finally:
        world.end()
