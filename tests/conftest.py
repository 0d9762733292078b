"""For all tests: nothing is left behind, a home of its own, and one line that says what was left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.leftovers import alive, command_of, left_of, left_since

_GRACE_S = float(os.environ.get("AUTOPOD_TESTS_GRACE_S") or 5)  # what ends by itself this soon was not left behind
_MUST_RUN_ALL = "AUTOPOD_TESTS_MUST_RUN_ALL"
_KINDS = ("slow", "browser", "faults", "contract")  # marks that say why a test may be left out
_LEFT_OUT = pytest.StashKey[list[str]]()

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") or os.environ.get(_MUST_RUN_ALL) else "here")


def _shares(item: pytest.Item, scopes: tuple[str, ...]) -> bool:
    """Whether a fixture of ours that outlives the test, of one of these scopes, may start things during it."""
    found = getattr(item, "_fixtureinfo").name2fixturedefs.values()  # noqa: B009 - no public way to ask
    return any(
        each.scope in scopes and each.func.__module__ != __name__ and each.func.__module__.split(".")[0] != "_pytest"
        for definitions in found
        for each in definitions
    )


@pytest.fixture(autouse=True, scope="session")
def _nothing_is_left_in_the_end() -> Iterator[None]:
    before = alive()
    yield
    left = left_since(before, _GRACE_S)
    assert not left, f"left by the run: {'; '.join(left)}"


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left_by_the_module(request: pytest.FixtureRequest) -> Iterator[None]:
    before = alive()
    yield
    items = [item for item in request.session.items if item.nodeid.startswith(request.node.nodeid)]
    if not any(_shares(item, ("package", "session")) for item in items):
        left = left_since(before, _GRACE_S)
        assert not left, f"left by the module: {'; '.join(left)}"


def _lives_beside(request: pytest.FixtureRequest) -> bool:
    """Whether a fixture that outlives this test may be at work during it: its own, or one of an earlier test here."""
    items = request.session.items
    for item in reversed(items[: items.index(request.node) + 1]):
        if item.path != request.node.path:
            return False
        if _shares(item, ("class", "module", "package", "session")):
            return True
    return False


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread or a child; where a fixture outlives it, that is looked at when that ends."""
    before = alive()
    yield
    if not _lives_beside(request):
        left = left_since(before, _GRACE_S)
        assert not left, f"left by the test: {'; '.join(left)}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """``AUTOPOD_HOME`` in a new folder, no other setting of ours, and no process that carries it afterwards."""
    for name in [name for name in os.environ if name.startswith("AUTOPOD_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("AUTOPOD_HOME", str(folder))
    yield folder
    left = left_of(folder, _GRACE_S)
    assert not left, f"processes of {folder}: {'; '.join(f'{pid} ({command_of(pid)})' for pid in sorted(left))}"


def pytest_configure(config: pytest.Config) -> None:
    """Begin the list of why tests were left out."""
    config.stash[_LEFT_OUT] = []


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Keep what an option left out."""
    for item in items:
        item.config.stash[_LEFT_OUT].append(_why_deselected(item))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Several processes that share the tests choose them alike: each tells of all that were left out."""
    node.config.stash[_LEFT_OUT] = node.workeroutput.get("left_out", [])


def _why_deselected(item: pytest.Item) -> str:
    if item.config.getoption("markexpr"):
        return next((kind for kind in _KINDS if item.get_closest_marker(kind)), "not asked for")
    return "not asked for"


def _skipped(config: pytest.Config) -> list[str]:
    """The reason of each test or module that was skipped."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter is not None else []
    return [str(report.longrepr[2]).removeprefix("Skipped: ") for report in reports]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where all tests must run, one that was skipped makes the run fail."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash[_LEFT_OUT]
    if os.environ.get(_MUST_RUN_ALL) == "1" and _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in one line what was left out, and why."""
    left_out: list[str] = config.stash[_LEFT_OUT]
    reasons = Counter(left_out)
    reasons.update(_skipped(config))
    why = ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
    count = sum(reasons.values())
    terminalreporter.write_line(f"left out: {count} test{'' if count == 1 else 's'}{f' ({why})' if why else ''}")
