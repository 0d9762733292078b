"""Sessions that rent at a made-up RunPod, a program of its own that shares their clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.clock import Clock, Deadline, SystemClock
from autopod_nb.config import read_settings
from autopod_nb.providers.base import Provider
from autopod_nb.providers.registry import make_provider
from tests.fakes.service import RunpodService
from tests.session.live import Live

REAL = SystemClock()
_SETTLED_S = 20.0


class Rented(Live):
    """One session, and the service that it rents from.

    Args:
        folder: of the session, which a test makes anew.
        service: where it rents, begun anew.
        monkeypatch: for the variables that its reaper inherits.
        settings: environment variables beside those.
    """

    def __init__(self, folder: Path, service: RunpodService, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
        assert service.clock_file is not None
        self.service = service
        home = str(folder / "home")
        variables = {
            "AUTOPOD_HOME": home,
            "AUTOPOD_PROVIDER": "runpod",
            "AUTOPOD_TEST_CLOCK": str(service.clock_file),
            **service.environ(),
            **settings,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        def provider(_folder: Path, clock: Clock) -> Provider:
            return make_provider(read_settings(variables), clock)

        super().__init__(folder, provider=provider, settings=variables, clock_file=service.clock_file)

    def jump(self, seconds: float) -> None:
        """Move the clock of both on."""
        self.service.advance(seconds)

    def bills(self) -> list[dict[str, Any]]:
        """Every pod that ever cost something, in the order in which they were made."""
        return [pod for pod in self.service.bill()["pods"] if pod["segments"]]

    def until_nothing_bills(self, within_s: float = _SETTLED_S) -> list[dict[str, Any]]:
        """Wait until the service bills no pod any more. What it billed."""
        deadline = Deadline(REAL, within_s)
        while still := [pod["name"] for pod in self.bills() if pod["billing_ended_at"] is None]:
            assert not deadline.passed, f"still billed: {still}; {self.notices}"
            self.session.wait_newer(self.session.snapshot.number, 0.2)
        return self.bills()


@contextmanager
def runpod_service(folder: Path) -> Iterator[RunpodService]:
    """The service with a clock of its own."""
    folder.mkdir(parents=True)
    clock_file = folder / "clock"
    clock_file.write_text("0")
    with RunpodService(folder / "service", clock_file=clock_file) as service:
        yield service
