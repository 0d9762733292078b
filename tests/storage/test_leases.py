from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from autopod_nb.errors import LedgerError
from autopod_nb.storage.leases import CommandPosted, CommandTaken, LeaseReleased, LeaseRenewed, LeaseTaken
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import Lease, Owner, Role
from autopod_nb.storage.writes import PodIntent

_KERNEL = Owner(owner_id="k1", role=Role.KERNEL, host="here", pid=11)
_REAPER = Owner(owner_id="r1", role=Role.REAPER, host="here", pid=12)


@pytest.fixture
def owned(ledger: Ledger, intent: Callable[..., PodIntent], noon: datetime) -> Ledger:
    ledger.write([intent("p1"), intent("p2"), LeaseTaken(pod_id="p1", owner=_KERNEL, at=noon)])
    return ledger


def _lease(ledger: Ledger) -> Lease | None:
    return ledger.read_pods()[0].lease


def test_a_pod_has_the_owner_that_took_it(owned: Ledger, noon: datetime) -> None:
    assert [pod.lease for pod in owned.read_pods()] == [Lease(owner=_KERNEL, renewed=noon), None]


def test_a_lease_is_renewed_in_place_and_taken_again_by_its_owner(owned: Ledger, noon: datetime) -> None:
    later = noon + timedelta(seconds=5)
    owned.write([LeaseRenewed(pod_id="p1", owner_id="k1", at=later)])
    assert _lease(owned) == Lease(owner=_KERNEL, renewed=later)
    owned.write([LeaseTaken(pod_id="p1", owner=_KERNEL, at=later + timedelta(seconds=1))])
    assert _lease(owned) == Lease(owner=_KERNEL, renewed=later + timedelta(seconds=1))


@pytest.mark.parametrize("stale_after_s", [None, -1, 0])
def test_a_pod_whose_owner_lives_is_not_taken(owned: Ledger, noon: datetime, stale_after_s: int | None) -> None:
    before = None if stale_after_s is None else noon + timedelta(seconds=stale_after_s)
    with pytest.raises(LedgerError, match=r"Pod p1 belongs to the kernel with process id 11 on here, last heard of at"):
        owned.write([LeaseTaken(pod_id="p1", owner=_REAPER, at=noon, stale_before=before)])
    assert _lease(owned) == Lease(owner=_KERNEL, renewed=noon)


def test_a_stale_owner_loses_the_pod_and_learns_it_at_its_next_renewal(owned: Ledger, noon: datetime) -> None:
    later = noon + timedelta(minutes=1)
    stale_before = noon + timedelta(microseconds=1)
    owned.write([LeaseTaken(pod_id="p1", owner=_REAPER, at=later, stale_before=stale_before)])
    with pytest.raises(LedgerError, match="belongs to the reaper"):
        owned.write([LeaseRenewed(pod_id="p1", owner_id="k1", at=later)])
    owned.write([LeaseReleased(pod_id="p1", owner_id="k1")])  # not its own any more: changes nothing
    assert _lease(owned) == Lease(owner=_REAPER, renewed=later)


def test_a_released_pod_is_free(owned: Ledger, noon: datetime) -> None:
    owned.write([LeaseReleased(pod_id="p1", owner_id="k1"), LeaseReleased(pod_id="p1", owner_id="k1")])
    assert _lease(owned) is None
    with pytest.raises(LedgerError, match="Nobody owns pod p1"):
        owned.write([LeaseRenewed(pod_id="p1", owner_id="k1", at=noon)])
    owned.write([LeaseTaken(pod_id="p1", owner=_REAPER, at=noon)])


def test_commands_reach_the_owners_of_their_pods_in_order_and_once(owned: Ledger, noon: datetime) -> None:
    owned.write(
        [
            CommandPosted(pod_id="p1", verb="stop", args={"now": True}, at=noon),
            CommandPosted(pod_id="p2", verb="kill", at=noon),
            CommandPosted(pod_id="p1", verb="kill", at=noon),
        ]
    )
    first, second = owned.poll_commands(["p1"])
    assert (first.pod_id, first.verb, dict(first.args), first.made) == ("p1", "stop", {"now": True}, noon)
    assert second.verb == "kill"
    assert len(owned.poll_commands(["p1", "p2"])) == 3
    assert owned.poll_commands([]) == ()

    owned.write([CommandTaken(command_id=first.command_id, at=noon)])
    assert owned.poll_commands(["p1"]) == (second,)
    with pytest.raises(LedgerError, match="taken by somebody else"):
        owned.write([CommandTaken(command_id=first.command_id, at=noon)])


def test_a_command_for_a_pod_that_is_not_there_is_refused(owned: Ledger, noon: datetime) -> None:
    with pytest.raises(LedgerError, match="FOREIGN KEY"):
        owned.write([CommandPosted(pod_id="p9", verb="stop", at=noon)])
