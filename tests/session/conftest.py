"""Sessions with real pods, closed in the end, after which nothing of them is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autopod_nb.log import close_log
from tests.leftovers import left_of
from tests.session.live import Live

_LEFT_WITHIN_S = 5.0


@pytest.fixture(scope="module")
def open_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Live]]:
    """Makes sessions that the tests of a module share."""
    yield from _opener(lambda: tmp_path_factory.mktemp("live"))


@pytest.fixture
def open_live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Live]]:
    """Makes sessions for one test."""
    yield from _opener(lambda: tmp_path_factory.mktemp("live"))


@pytest.fixture
def live(open_live: Callable[..., Live]) -> Live:
    """A session for one test, without a pod."""
    return open_live()


def _opener(new_folder: Callable[[], Path]) -> Iterator[Callable[..., Live]]:
    opened: list[Live] = []

    def open_one(**arguments: object) -> Live:
        opened.append(Live(new_folder(), **arguments))  # type: ignore[arg-type] # those of Live
        return opened[-1]

    yield open_one
    for live in opened:
        live.close()
    close_log()
    left = {live.home: left_of(live.home, _LEFT_WITHIN_S) for live in opened}
    assert not any(left.values()), f"processes are left: {left}"
