"""The account of the contract suite at a made-up RunPod, through the official package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from autopod_nb.clock import FileClock
from autopod_nb.config import Secret, Settings
from autopod_nb.models.pod import PodAddress, PodRecord
from autopod_nb.providers.runpod_sdk import make
from tests.fakes.service import RunpodService
from tests.providers.account import Account


def runpod_sdk(home: Path) -> Account:
    """Open an account whose local files lie in the folder; the service is a program that shares the clock."""
    home.mkdir(parents=True, exist_ok=True)
    clock_file = home / "clock"
    clock_file.write_text("0")
    clock = FileClock(clock_file)
    service = RunpodService(home / "service", clock_file=clock_file)
    settings = Settings(home=home, provider="runpod_sdk", api_key=Secret(service.api_key), api_base_url=service.url)

    def places(record: PodRecord) -> PodAddress:
        """A pod there is a program on this machine, whose folder the service's control door tells."""
        assert record.address is not None
        folder = service.pod(record.provider_id)["folder"]
        return replace(record.address, comfyui_dir=f"{folder}/ComfyUI", environ_path=f"{folder}/environ")

    return Account(
        make(settings, clock),
        clock,
        home,
        advance=service.advance,
        bills_hourly=True,
        places=places,
        shut=service.close,
    )
