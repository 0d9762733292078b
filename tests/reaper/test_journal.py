"""The reaper's log: for its owner's eyes, without secrets, and whole when one process rotates and another writes."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from autopod_nb.log import hide
from autopod_nb.reaper.journal import open_journal

_log = logging.getLogger("autopod_nb")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers, level, propagate = list(_log.handlers), _log.level, _log.propagate
    yield
    for handler in set(_log.handlers) - set(handlers):
        _log.removeHandler(handler)
        handler.close()
    _log.setLevel(level)
    _log.propagate = propagate


@pytest.mark.parametrize("rotates", [True, False])
def test_nobody_else_may_read_it_and_no_secret_is_in_it(home: Path, *, rotates: bool) -> None:
    hide("made-up-secret")
    path = open_journal(home, rotates=rotates)
    _log.info("the key is made-up-secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "the key is [redacted]" in path.read_text()


def test_the_supervisor_follows_when_the_worker_rotates(home: Path) -> None:
    """Else its lines would go into a file that is about to be thrown away."""
    path = open_journal(home, rotates=False)
    _log.info("before")
    path.rename(path.with_suffix(".log.1"))
    _log.info("after")
    assert "after" in path.read_text()
    assert "before" not in path.read_text()
