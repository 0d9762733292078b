"""What a fleet may be made of: plain values in, a plan out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from autopod_nb.errors import NoCapacity, UsageError
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, Stock
from autopod_nb.pods.fleet_facts import Aim
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.fleet_state import Avoided, FleetPlan, FleetRequest
from autopod_nb.session.planning import make_fleet_plan
from tests.session.test_planning import OFFERS, SETTINGS, offer


def _plan(
    wish: FleetRequest, request: PodRequest | None = None, offers: Sequence[Offer] = OFFERS, limit: str | None = "10"
) -> FleetPlan:
    limit_usd = None if limit is None else Decimal(limit)
    return make_fleet_plan(request or PodRequest(), wish, offers, SETTINGS, limit_usd=limit_usd)


def test_all_preferences_may_be_started_and_nothing_else() -> None:
    plan = _plan(FleetRequest(max_pods=2))
    assert {offer.gpu_type for offer in plan.offers} == set(SETTINGS.gpu_preferences) & {o.gpu_type for o in OFFERS}
    assert plan.max_pods == 2
    assert not plan.needs_yes, "two of them cost less than a dollar an hour"


def test_a_gpu_that_is_named_is_the_only_one() -> None:
    plan = _plan(FleetRequest(max_pods=2), PodRequest(gpu="4090"))
    assert {offer.gpu_type for offer in plan.offers} == {"RTX 4090"}


def test_so_many_that_they_are_dear_together_want_a_yes() -> None:
    """As `connect --pods` does; the dearest that there may be counts."""
    assert _plan(FleetRequest(max_pods=3)).needs_yes
    assert not _plan(FleetRequest(max_pods=3, yes=True)).needs_yes


def test_nobody_is_asked_about_money_that_is_not_real() -> None:
    simulated = [replace(offer, kind=MoneyKind.SIMULATED) for offer in OFFERS]
    assert not _plan(FleetRequest(max_pods=50), offers=simulated).needs_yes


def test_auto_takes_as_many_as_need_no_yes() -> None:
    plan = _plan(FleetRequest())
    assert plan.max_pods == 2, "0.49 USD an hour, twice, is less than 1"
    assert not plan.needs_yes
    assert _plan(FleetRequest(yes=True)).max_pods == 8
    dear = [offer("A40", "0.90"), offer("RTX A6000", "2.00")]
    assert [each.gpu_type for each in _plan(FleetRequest(), offers=dear).offers] == ["A40"]


def test_auto_of_what_is_dear_alone_is_one_and_wants_a_yes() -> None:
    plan = _plan(FleetRequest(), offers=[offer("A40", "2.00")])
    assert (plan.max_pods, plan.needs_yes) == (1, True)


def test_the_wish_and_the_limit_go_along() -> None:
    plan = _plan(FleetRequest(max_pods=1, aim=Aim.DEADLINE, within_minutes=Decimal(30), budget_usd=Decimal(2)))
    assert (plan.aim, plan.within_minutes, plan.budget_usd) == (Aim.DEADLINE, Decimal(30), Decimal(2))
    assert plan.session_limit_usd == Decimal(10)
    assert plan.most_per_hour_usd == max(offer.price_per_hour_usd for offer in plan.offers)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(NoCapacity):
        _plan(FleetRequest(max_pods=2), offers=[])
    with pytest.raises(NoCapacity):
        _plan(FleetRequest(max_pods=2), PodRequest(gpu="A40"), offers=[offer("A40", "0.4", stock=Stock.NONE)])
    with pytest.raises(UsageError, match="No GPU 'H100'"):
        _plan(FleetRequest(max_pods=2), PodRequest(gpu="H100"))
    with pytest.raises(UsageError, match="--budget"):
        _plan(FleetRequest(max_pods=2, budget_usd=Decimal(0)))


def test_an_offer_that_fails_again_rests_longer_and_several_failures_at_once_count_once() -> None:
    once = Avoided.after(None, 100.0, 1)
    assert Avoided.after(once, 101.0, 1) == once
    again = Avoided.after(once, once.until_s, 1)
    assert again.weight == 2
    assert again.until_s - once.until_s > once.until_s - 100.0
    assert Avoided.after(Avoided(0.0, 99), 1.0, 2).until_s < 1000
