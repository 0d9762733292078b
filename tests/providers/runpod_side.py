"""What the tests of the RunPod providers share: a provider at some address, an order, and a wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autopod_nb.clock import Clock, Deadline, SystemClock
from autopod_nb.config import Secret, Settings
from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.providers.base import PodOrder
from autopod_nb.providers.runpod import RunPodProvider

KEY = "rpa_0123456789abcdefghijklmnopqrstuvwxyz"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEq8hEJf4mS4N1O9yB3vXo5o2m6eRkK0l8nLhB2mY1dD tests"
A40 = "NVIDIA A40"
_SOON_S = 30.0
_LOOK_S = 0.02


def provider_at(
    url: str, home: Path, *, key: str = KEY, clock: Clock | None = None, timeout_s: float = 5.0, **settings: Any
) -> RunPodProvider:
    """A provider that asks again soon, so that no test takes long."""
    made = Settings(home=home, provider="runpod", api_key=Secret(key), api_base_url=url, **settings)
    return RunPodProvider(made, clock=clock or SystemClock(), timeout_s=timeout_s, retry_pause_s=0.02)


def offer_of(provider: RunPodProvider, gpu_id: str = A40, **query: Any) -> Offer:
    """The offer of one GPU."""
    return next(offer for offer in provider.offers(OfferQuery(**query)) if offer.gpu_id == gpu_id)


def order_of(offer: Offer, name: str = "autopod-a", **env: str) -> PodOrder:
    """An order for an offer."""
    return PodOrder(name=name, offer=offer, public_key=PUBLIC_KEY, env=env)


def soon(is_so: Callable[[], bool]) -> bool:
    """Whether something holds within 30 s of real time; the answer comes as soon as it does."""
    deadline, pause = Deadline(SystemClock(), _SOON_S), threading.Event()
    while not is_so() and not deadline.passed:
        pause.wait(_LOOK_S)
    return is_so()
