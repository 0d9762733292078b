"""One account for each provider that keeps the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autopod_nb.clock import FileClock, TestClock
from autopod_nb.models.pod import PodRecord
from autopod_nb.providers.local import LocalProvider
from autopod_nb.providers.runpod import RunPodProvider
from tests.fakes.service import RunpodService, rows_only
from tests.leftovers import left_of
from tests.providers.account import Account
from tests.providers.runpod_account import runpod_account
from tests.providers.runpod_side import provider_at

_LEFT_WITHIN_S = 5.0


def _local(home: Path) -> Account:
    clock = TestClock()
    return Account(LocalProvider(home / "pods", clock=clock), clock, home)


_PROVIDERS: dict[str, Callable[[Path], Account]] = {
    "local": _local,
    "runpod": lambda home: runpod_account(home, "runpod"),
    "runpod_sdk": lambda home: runpod_account(home, "runpod_sdk"),
}


@pytest.fixture(scope="module", params=["local", "runpod", pytest.param("runpod_sdk", marks=pytest.mark.slow)])
def open_account(request: pytest.FixtureRequest) -> Callable[[Path], Account]:
    """Opens an account whose local files lie in the folder; the caller closes it."""
    return _PROVIDERS[request.param]


@pytest.fixture(scope="module")
def account(open_account: Callable[[Path], Account], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    home = tmp_path_factory.mktemp("home")
    account = open_account(home)
    yield account
    account.close()
    assert not left_of(home, _LEFT_WITHIN_S)


@pytest.fixture(scope="module")
def pod(account: Account) -> PodRecord:
    """A pod that runs, and that a test leaves as it was."""
    record = account.provider.create(account.order(env={"GREETING": "good day"}))
    return account.running(record.provider_id)


@pytest.fixture(scope="module")
def shared_runpod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    """A made-up RunPod whose pods are rows only, with a clock of its own."""
    with rows_only(tmp_path_factory.mktemp("runpod")) as service:
        yield service


@pytest.fixture
def runpod_service(shared_runpod: RunpodService) -> RunpodService:
    """The same, begun anew."""
    shared_runpod.reset()
    return shared_runpod


@pytest.fixture
def runpod(runpod_service: RunpodService, tmp_path: Path) -> Iterator[RunPodProvider]:
    """A provider at the made-up RunPod, on its clock."""
    assert runpod_service.clock_file is not None
    clock = FileClock(runpod_service.clock_file)
    provider = provider_at(runpod_service.url, tmp_path, key=runpod_service.api_key, clock=clock)
    yield provider
    provider.close()
