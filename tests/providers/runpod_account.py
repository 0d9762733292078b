"""Accounts of the contract suite at a made-up RunPod, a program of its own that shares the clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from autopod_nb.clock import FileClock
from autopod_nb.config import Secret, Settings
from autopod_nb.models.pod import PodAddress, PodRecord
from autopod_nb.providers.registry import make_provider
from tests.fakes.service import RunpodService
from tests.providers.account import Account


def runpod_account(home: Path, provider: str) -> Account:
    """Open an account whose local files lie in the folder, by the provider of that name."""
    home.mkdir(parents=True, exist_ok=True)
    clock_file = home / "clock"
    clock_file.write_text("0")
    clock = FileClock(clock_file)
    service = RunpodService(home / "service", clock_file=clock_file)
    settings = Settings(home=home, provider=provider, api_key=Secret(service.api_key), api_base_url=service.url)

    def places(record: PodRecord) -> PodAddress:
        """A pod there is a program on this machine, whose folder the service's control door tells."""
        assert record.address is not None
        folder = service.pod(record.provider_id)["folder"]
        return replace(record.address, comfyui_dir=f"{folder}/ComfyUI", environ_path=f"{folder}/environ")

    return Account(
        make_provider(settings, clock),
        clock,
        home,
        advance=service.advance,
        bills_hourly=True,
        places=places,
        shut=service.close,
    )
