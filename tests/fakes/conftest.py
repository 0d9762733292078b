"""One service without real pods for a module, begun anew for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.service import RunpodService, rows_only


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    with rows_only(tmp_path_factory.mktemp("runpod")) as service:
        yield service


@pytest.fixture
def service(shared_service: RunpodService) -> RunpodService:
    shared_service.reset()
    return shared_service
