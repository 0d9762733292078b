"""One service without real pods for a module, begun anew for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.service import RunpodService


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    folder = tmp_path_factory.mktemp("runpod")
    (folder / "clock").write_text("0")
    with RunpodService(folder / "service", clock_file=folder / "clock", real_pods=False) as service:
        yield service


@pytest.fixture
def service(shared_service: RunpodService) -> RunpodService:
    shared_service.reset()
    return shared_service
