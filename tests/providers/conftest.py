"""One account for each provider that keeps the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autopod_nb.clock import TestClock
from autopod_nb.models.pod import PodRecord
from autopod_nb.providers.local import LocalProvider
from tests.leftovers import left_of
from tests.providers.account import Account

_LEFT_WITHIN_S = 5.0


def _local(home: Path) -> Account:
    clock = TestClock()
    return Account(LocalProvider(home / "pods", clock=clock), clock, home)


_PROVIDERS: dict[str, Callable[[Path], Account]] = {"local": _local}


@pytest.fixture(scope="module", params=_PROVIDERS)
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
