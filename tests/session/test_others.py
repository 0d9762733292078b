"""Pods that only the provider knows, and the bill of one, with pods on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.config import LEDGER_NAME, Settings, read_settings
from autopod_nb.errors import ProviderError
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import ObservedState, PodState
from autopod_nb.models.reconciliation import Verdict
from autopod_nb.providers.base import Capabilities, PodOrder
from autopod_nb.providers.local import LocalProvider
from autopod_nb.session.others import StrangePod, look_for_strangers
from autopod_nb.session.reconcile import reconcile, reconcile_with
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.writes import PodChanged, PodIntent
from tests.leftovers import alive
from tests.session.live import Live

CLOCK = SystemClock()


@pytest.fixture
def settings(home: Path) -> Settings:
    return read_settings()


def make_folder(home: Path, name: str) -> Path:
    """What the local provider takes for a pod that does not run."""
    folder = home / "pods" / name
    folder.mkdir(parents=True)
    (folder / "order.json").write_text(json.dumps({"gpu": "A40"}))
    return folder


def write_pod(home: Path, name: str, state: PodState) -> None:
    offer = LocalProvider(home / "pods", clock=CLOCK).offers(OfferQuery())[0]
    intent = PodIntent(
        pod_id=f"id-{name}",
        name=name,
        session_id="s1",
        provider="local",
        gpu_type=offer.gpu_type,
        gpu_count=1,
        price_per_hour_usd=offer.price_per_hour_usd,
        stopped_price_per_hour_usd=offer.stopped_price_per_hour_usd,
        kind=MoneyKind.SIMULATED,
        at=CLOCK.now(),
    )
    with Ledger(home / LEDGER_NAME) as ledger:
        ledger.write([intent, PodChanged(pod_id=f"id-{name}", state=state, at=CLOCK.now())])


def test_pods_that_the_ledger_knows_by_id_or_name_are_no_strangers(home: Path, settings: Settings) -> None:
    """A pod whose answer was lost has no provider's id in the ledger, only the name."""
    for name in ("ours", "new", "gone"):
        make_folder(home, name)
    write_pod(home, "ours", PodState.READY)
    write_pod(home, "gone", PodState.TERMINATED)
    found = look_for_strangers(settings, clock=CLOCK)
    assert [(pod.provider_id, pod.pod_id, pod.state) for pod in found] == [
        ("gone", "id-gone", ObservedState.STOPPED),
        ("new", "", ObservedState.STOPPED),
    ]
    assert found[1].cost_usd is None


def test_an_account_without_pods_has_no_strangers_and_no_thread_is_left(settings: Settings) -> None:
    before = alive()
    assert look_for_strangers(settings, clock=CLOCK) == ()
    assert alive() == before


def test_a_list_that_cannot_be_read_is_an_error_and_never_empty(home: Path, settings: Settings) -> None:
    home.mkdir()
    (home / "pods").write_text("somebody put a file where the folder of pods should be")
    with pytest.raises(ProviderError, match="cannot be read"):
        look_for_strangers(settings, clock=CLOCK)


@pytest.fixture
def silent(home: Path) -> Iterator[None]:
    """A provider that does not answer: what it reads of a pod is a pipe that nobody writes to, until the end."""
    pipe = make_folder(home, "silent") / "process.json"
    os.mkfifo(pipe)
    yield
    deadline = Deadline(CLOCK, 10)
    while not deadline.passed:
        with suppress(OSError):  # nobody reads it
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
            return


def test_a_provider_that_does_not_answer_is_waited_for_only_so_long(silent: None, settings: Settings) -> None:
    with pytest.raises(ProviderError, match=r"did not list its pods within 0\.2 s"):
        look_for_strangers(settings, clock=CLOCK, within_s=0.2)


def test_what_a_stranger_has_cost_is_its_price_over_its_age() -> None:
    pod = StrangePod(provider="far", provider_id="x", name="x", state=ObservedState.RUNNING, age_s=7200)
    assert pod.cost_usd is None
    pod = replace(pod, price_per_hour_usd=Decimal("0.5"))
    assert pod.cost_usd == 1


def test_a_bill_agrees_with_the_ledger_and_a_pod_of_somebody_else_is_on_it(open_live: Callable[..., Live]) -> None:
    """One pod of the session, one that was rented beside it: seen while it is there, and on the bill afterwards."""
    live = open_live()
    pod_id = live.rent()
    order = PodOrder(name="somebody-elses", offer=live.provider.offers(OfferQuery())[0], public_key="ssh-ed25519 AAAA")
    live.provider.create(order)
    (stranger,) = look_for_strangers(live.session.settings, clock=live.clock)
    assert (stranger.provider_id, stranger.pod_id) == ("somebody-elses", "")
    live.jump(3600)
    live.provider.terminate("somebody-elses")
    live.session.kill(pod_id, yes=True)
    live.until_pod(pod_id, PodState.TERMINATED)
    assert live.session.wait_written()
    assert look_for_strangers(live.session.settings, clock=live.clock) == ()
    found = reconcile(live.session.settings, clock=live.clock)
    assert found is not None
    unknown, ours = found.lines
    assert (unknown.provider_id, unknown.verdict) == ("somebody-elses", Verdict.UNKNOWN)
    assert Decimal("0.27") <= unknown.billed_usd < Decimal("0.28")
    assert (ours.pod_id, ours.verdict, ours.kind) == (pod_id, Verdict.AGREES, MoneyKind.SIMULATED)
    assert ours.ledger_usd is not None
    assert ours.ledger_usd > Decimal("0.4")
    assert unknown.kind is MoneyKind.SIMULATED


def test_a_provider_without_a_bill_is_not_compared(home: Path) -> None:
    class NoBill(LocalProvider):
        capabilities = Capabilities(can_stop=True, can_bill=False, fate="")

    provider = NoBill(home / "pods", clock=CLOCK)
    assert reconcile_with(provider, Ledger(home / LEDGER_NAME), clock=CLOCK) is None
