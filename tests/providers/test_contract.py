"""What every provider must do; each runs through all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.errors import Gone
from autopod_nb.models.money import Purpose, cost_usd
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import ObservedState, PodRecord
from autopod_nb.models.reconciliation import Stretch
from autopod_nb.pods.meter import Activity, Meter, settle
from autopod_nb.ssh.connection import SshConnection
from tests.providers.account import Account

_NOBODY = "autopod-was-never-made"
_BILL_LAG_S = 2 * 3600.0  # the newest hours of a bill in hours are missing
_DRIFT_S = 15  # of real time, in calls and boots, that such a bill and our meter may be apart


def _said(connection: SshConnection, command: str) -> str:
    return connection.run(command, timeout_s=20).stdout.decode()


class TestWithoutAPod:
    def test_an_account_that_can_be_used_passes_as_often_as_asked(self, account: Account) -> None:
        account.provider.authenticate()
        account.provider.authenticate()

    def test_it_has_a_name_and_says_what_ends_a_pod(self, account: Account) -> None:
        assert account.provider.name
        assert account.provider.capabilities.fate

    @pytest.mark.parametrize("gpu_count", [1, 2])
    def test_offers_are_exact_and_for_the_count_that_was_asked(self, account: Account, gpu_count: int) -> None:
        offers = account.provider.offers(OfferQuery(gpu_count=gpu_count))
        assert offers
        for offer in offers:
            assert (offer.provider, offer.gpu_count) == (account.provider.name, gpu_count)
            assert isinstance(offer.price_per_hour_usd, Decimal)
            assert offer.price_per_hour_usd > offer.stopped_price_per_hour_usd > 0
            assert offer.vram_gb > 0
            assert offer.gpu_type
        assert len({offer.kind for offer in offers}) == 1
        assert len({(offer.gpu_type, offer.region, offer.cloud) for offer in offers}) == len(offers)

    @pytest.mark.parametrize("gpu_count", [0, -1, 10_000])
    def test_a_count_that_nobody_has_gets_no_offer(self, account: Account, gpu_count: int) -> None:
        assert account.provider.offers(OfferQuery(gpu_count=gpu_count)) == ()

    @pytest.mark.parametrize("what", ["describe", "stop", "start", "adopt"])
    def test_a_pod_that_was_never_made_is_gone(self, account: Account, what: str) -> None:
        with pytest.raises(Gone):
            getattr(account.provider, what)(_NOBODY)

    def test_to_terminate_what_was_never_made_is_fine(self, account: Account) -> None:
        account.provider.terminate(_NOBODY)

    def test_a_pod_that_was_never_made_has_no_log(self, account: Account) -> None:
        assert account.provider.logs(_NOBODY, 10) == ()


class TestARunningPod:
    def test_it_runs_under_the_name_that_was_ordered(self, pod: PodRecord) -> None:
        assert pod.state is ObservedState.RUNNING
        assert pod.name.startswith("autopod-test-")

    def test_the_list_holds_it_as_it_is_described(self, account: Account, pod: PodRecord) -> None:
        (found,) = [each for each in account.provider.list() if each.name == pod.name]
        assert found == account.provider.describe(pod.provider_id) == pod

    def test_its_address_takes_our_key_and_names_what_is_there(self, account: Account, pod: PodRecord) -> None:
        places = account.places(pod)
        connection = account.log_in(pod)
        try:
            assert connection.read_environ(places.environ_path)["GREETING"] == "good day"
            assert _said(connection, f"cd '{places.comfyui_dir}' && ls -d input output").split() == [
                "input",
                "output",
            ]
        finally:
            connection.close()

    def test_starting_it_again_changes_nothing(self, account: Account, pod: PodRecord) -> None:
        account.provider.start(pod.provider_id)
        assert account.provider.describe(pod.provider_id) == pod

    def test_who_has_it_may_take_it_over_and_over(self, account: Account, pod: PodRecord) -> None:
        account.provider.adopt(pod.provider_id)
        account.provider.adopt(pod.provider_id)
        assert account.provider.describe(pod.provider_id) == pod

    @pytest.mark.parametrize("lines", [0, 1, 1000])
    def test_its_log_has_no_more_lines_than_asked_for(self, account: Account, pod: PodRecord, lines: int) -> None:
        assert len(account.provider.logs(pod.provider_id, lines)) <= lines


def test_a_life_from_create_to_gone_and_its_bill(account: Account) -> None:
    """Files outlive a stop, a start gives a new address, an end is an end; every call may be repeated."""
    provider, clock = account.provider, account.clock
    begin = clock.now()
    order = account.order()
    running, stopped = order.offer.price_per_hour_usd, order.offer.stopped_price_per_hour_usd
    meter, charged = Meter(), []

    def meter_on(purpose: Purpose | None, price: Decimal = running) -> None:
        nonlocal meter
        activity = None if purpose is None else Activity(purpose=purpose, price_per_hour_usd=price)
        now, now_s = clock.now(), clock.monotonic()
        meter, charge = settle(meter, activity, pod_id="p", kind=order.offer.kind, now=now, now_s=now_s)
        charged.append(Decimal(0) if charge is None else charge.amount_usd)

    pod_id = provider.create(order).provider_id
    meter_on(Purpose.BOOT)
    first = account.running(pod_id)
    assert first.address is not None
    connection = account.log_in(first)
    _said(connection, f"printf kept > '{account.places(first).comfyui_dir}/output/kept.txt'")
    connection.close()
    account.pass_time(3600)

    provider.stop(pod_id)
    stopped_at = clock.now()
    meter_on(Purpose.STORAGE, stopped)
    assert provider.describe(pod_id).state is ObservedState.STOPPED
    assert provider.describe(pod_id).address is None
    provider.stop(pod_id)
    assert order.name in {each.name for each in provider.list()}
    account.pass_time(10 * 3600)

    started_at = clock.now()
    provider.start(pod_id)
    meter_on(Purpose.BOOT)
    second = account.running(pod_id)
    assert second.state is ObservedState.RUNNING
    assert second.address is not None
    assert (second.address.host, second.address.port) != (first.address.host, first.address.port)
    connection = account.log_in(second)
    assert _said(connection, f"cat '{account.places(second).comfyui_dir}/output/kept.txt'") == "kept"
    connection.close()
    account.pass_time(2 * 3600)

    provider.terminate(pod_id)
    meter_on(None)
    provider.terminate(pod_id)
    for gone in (provider.describe, provider.stop, provider.start, provider.adopt):
        with pytest.raises(Gone):
            gone(pod_id)
    assert pod_id not in {each.provider_id for each in provider.list()}

    if not provider.capabilities.can_bill:
        assert provider.billing(begin) == ()
        return
    if account.bills_hourly:
        account.pass_time(_BILL_LAG_S)
    rows = [row for row in provider.billing(begin) if row.provider_id == pod_id]
    assert rows == sorted(rows, key=lambda row: row.start)
    if account.bills_hourly:
        _check_hours(
            rows, begin=begin, end=clock.now(), total_usd=sum(charged, Decimal(0)), a_second_usd=running / 3600
        )
        _check_storage(rows, stopped_at, started_at, stopped)
    else:
        assert [row.amount_usd for row in rows] == [amount for amount in charged if amount]
        for row, price in zip(rows, (running, stopped, running), strict=True):
            assert row.amount_usd == cost_usd(price, Decimal(str((row.end - row.start).total_seconds())))
    assert not [row for row in provider.billing(clock.now() + timedelta(seconds=1)) if row.provider_id == pod_id]


def _check_hours(
    rows: Sequence[Stretch], *, begin: datetime, end: datetime, total_usd: Decimal, a_second_usd: Decimal
) -> None:
    """Whole hours, each once, that cover what we metered; together they are our meter but for some seconds."""
    assert len({row.start for row in rows}) == len(rows) >= 13
    for row in rows:
        assert row.end - row.start == timedelta(hours=1) == timedelta(hours=1) + (row.start - _hour(row.start))
        assert _hour(begin) <= row.start < row.end <= end
    assert abs(sum((row.amount_usd for row in rows), Decimal(0)) - total_usd) <= _DRIFT_S * a_second_usd


def _check_storage(rows: Sequence[Stretch], since: datetime, until: datetime, price: Decimal) -> None:
    """An hour in which it was stopped all the time costs what the offer said of a stopped pod."""
    hours = [row.amount_usd for row in rows if since <= row.start and row.end <= until]
    assert len(hours) >= 9
    assert all(abs(amount - price) <= Decimal("0.000001") for amount in hours)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def test_closing_twice_is_fine_and_a_pod_can_be_ended_after_it(
    open_account: Callable[[Path], Account], tmp_path: Path
) -> None:
    account = open_account(tmp_path / "home")
    try:
        pod_id = account.provider.create(account.order()).provider_id
        account.provider.close()
        account.provider.close()
        assert account.provider.describe(pod_id).state in (ObservedState.PENDING, ObservedState.RUNNING)
        account.provider.terminate(pod_id)
        assert pod_id not in {each.provider_id for each in account.provider.list()}
    finally:
        account.close()
