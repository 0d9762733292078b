"""The provider at a made-up RunPod: what is rented exactly once, what is read whole or not at all, what is believed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.errors import (
    AuthFailed,
    Gone,
    LowBalance,
    NoCapacity,
    ProviderError,
    RateLimited,
    Uncertain,
    UsageError,
)
from autopod_nb.models.offer import OfferQuery, PodShape, Stock
from autopod_nb.models.pod import ObservedState
from autopod_nb.pods import launch
from autopod_nb.providers.runpod import RunPodProvider
from tests.fakes.service import RunpodService
from tests.providers.runpod_side import A40, KEY, offer_of, order_of, provider_at

_CREATE = "POST /v2/pods"
_LIST = "GET /v2/pods"
_POD = "GET /v2/pods/{id}"
_ACTION = "POST /v2/pods/{id}/action"
_DELETE = "DELETE /v2/pods/{id}"


def _rent(provider: RunPodProvider, name: str = "autopod-a", **env: str) -> str:
    return provider.create(order_of(offer_of(provider), name, **env)).provider_id


@pytest.fixture
def up(runpod: RunPodProvider, runpod_service: RunpodService) -> str:
    """A pod whose container is up."""
    pod_id = _rent(runpod)
    runpod_service.advance(10)
    return pod_id


class TestRenting:
    @pytest.mark.parametrize(
        ("fault", "kind", "made"),
        [
            ("no_capacity", NoCapacity, 0),
            ("no_capacity_disk", NoCapacity, 0),
            ("no_capacity_machine", NoCapacity, 0),
            ("pool_forbidden", NoCapacity, 0),
            ("no_balance", LowBalance, 0),
            ("unauthorized", AuthFailed, 0),
            ("rate_limited", RateLimited, 0),
            ("error_500", Uncertain, 0),
            ("html_502", Uncertain, 0),
            ("cloudflare_1010", Uncertain, 0),
            ("opaque_error", Uncertain, 0),
            ("cut_before", Uncertain, 0),
            ("cut_after", Uncertain, 1),
            ("error_500_after", Uncertain, 1),
            ("html_502_after", Uncertain, 1),
        ],
    )
    def test_an_order_is_sent_once_whatever_becomes_of_it(
        self, runpod: RunPodProvider, runpod_service: RunpodService, fault: str, kind: type[ProviderError], made: int
    ) -> None:
        order = order_of(offer_of(runpod))
        runpod_service.arm(fault, _CREATE)
        with pytest.raises(kind) as raised:
            runpod.create(order)
        assert type(raised.value) is kind
        assert len(runpod_service.requests(_CREATE)) == 1
        assert len(runpod_service.pods()) == made
        assert [record.name for record in runpod.list()] == [order.name] * made, "it can be found by its name"

    def test_an_order_without_an_answer_in_time_is_uncertain_and_its_pod_is_found(
        self, runpod_service: RunpodService, tmp_path: Path
    ) -> None:
        assert runpod_service.clock_file is not None
        hasty = provider_at(runpod_service.url, tmp_path, key=runpod_service.api_key, timeout_s=0.5)
        order = order_of(offer_of(hasty))
        runpod_service.arm("hang_after", _CREATE, seconds=60)
        with pytest.raises(Uncertain):
            hasty.create(order)
        assert launch.find(hasty, None, order.name).state is ObservedState.PENDING
        assert len(runpod_service.requests(_CREATE)) == 1
        runpod_service.advance(60)
        hasty.close()

    def test_what_is_rented_has_ssh_alone_our_key_and_leaves_the_accounts_keys_as_they_are(
        self, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        text = 'quotes " and \\ and\nlines é'
        _rent(runpod, TEXT=text)
        (request,) = runpod_service.requests(_CREATE)
        assert request["body"]["ports"] == ["22/tcp"]
        assert request["body"]["env"]["TEXT"] == text
        assert request["body"]["gpu"] == {"id": A40, "count": 1}
        assert not [each for each in runpod_service.requests() if "ssh-keys" in each["path"]]
        assert {each["user_agent"].partition(" ")[0] for each in runpod_service.requests()} == {"autopod-nb"}

    @pytest.mark.parametrize(
        ("change", "fix"),
        [
            ({"shape": PodShape(template="nobody", disk_gb=20, volume_gb=20)}, "--pod-template"),
            ({"shape": PodShape(image="i", disk_gb=20, network_volume="nobody")}, "--network-volume"),
            ({"gpu_id": "RTX 4090"}, "--gpu"),
            ({"shape": PodShape(image="i", disk_gb=20, volume_gb=1)}, "--volume"),
        ],
    )
    def test_a_wrong_order_is_one_line_with_its_fix(
        self, runpod: RunPodProvider, runpod_service: RunpodService, change: dict[str, object], fix: str
    ) -> None:
        offer = replace(offer_of(runpod), **change)  # type: ignore[arg-type] # a table of tests
        with pytest.raises(ProviderError) as raised:
            runpod.create(order_of(offer, SECRET="hunter2222"))
        assert type(raised.value) is ProviderError
        assert fix in str(raised.value)
        assert "hunter2222" not in str(raised.value)
        assert runpod_service.pods() == []

    def test_stock_that_went_meanwhile_is_no_capacity(
        self, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        offer = offer_of(runpod)
        runpod_service.stock(0)
        with pytest.raises(NoCapacity):
            runpod.create(order_of(offer))

    def test_a_spot_pod_is_rented_at_its_bid_and_says_when_it_was_outbid(
        self, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        usual, spot = offer_of(runpod), offer_of(runpod, spot=True)
        assert spot.spot
        assert spot.price_per_hour_usd == usual.price_per_hour_usd - Decimal("0.20"), "half of the GPU's 0.40"
        record = runpod.create(order_of(spot))
        runpod_service.advance(10)
        assert runpod.describe(record.provider_id).price_per_hour_usd == spot.price_per_hour_usd
        assert runpod_service.counts()["podRentInterruptable"] == 1
        runpod_service.evict(record.provider_id)
        evicted = runpod.describe(record.provider_id)
        assert evicted.state is ObservedState.STOPPED
        assert "outbid" in evicted.detail.lower()
        runpod.describe(record.provider_id)
        assert runpod_service.counts()["pod"] == 1, "asked once a stop"

    @pytest.mark.parametrize(
        ("fault", "kind", "made"),
        [
            ("no_capacity", NoCapacity, 0),
            ("null_data", Uncertain, 0),
            ("opaque_error_after", Uncertain, 1),
            ("cut_after", Uncertain, 1),
            ("unauthorized", AuthFailed, 0),
        ],
    )
    def test_a_spot_order_is_sent_once_too(
        self, runpod: RunPodProvider, runpod_service: RunpodService, fault: str, kind: type[ProviderError], made: int
    ) -> None:
        order = order_of(offer_of(runpod, spot=True))
        runpod_service.arm(fault, "podRentInterruptable")
        with pytest.raises(kind):
            runpod.create(order)
        assert runpod_service.counts()["podRentInterruptable"] == 1
        assert len(runpod_service.pods()) == made


class TestReading:
    @pytest.mark.parametrize(
        "fault", ["list_without_pagination", "list_inconsistent", "list_repeats_cursor", "html_502", "unauthorized"]
    )
    def test_a_list_that_is_not_whole_is_an_error_and_never_empty(
        self, runpod: RunPodProvider, runpod_service: RunpodService, fault: str
    ) -> None:
        runpod_service.rows(3)
        runpod_service.arm(fault, _LIST, times=3)
        with pytest.raises(ProviderError):
            runpod.list()

    def test_a_thousand_pods_are_listed_in_pages_and_one_that_shifted_once(
        self, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        ids = runpod_service.rows(1000)
        runpod_service.set(page_size=100)
        runpod_service.arm("list_shifts", _LIST, times=3)
        assert sorted(record.provider_id for record in runpod.list()) == sorted(ids)
        assert 10 <= len(runpod_service.requests(_LIST)) <= 11

    @pytest.mark.parametrize("fault", ["html_502", "error_500", "cut_before", "cut_after", "cloudflare_1010"])
    def test_a_read_is_repeated_after_a_lost_answer(
        self, runpod: RunPodProvider, runpod_service: RunpodService, up: str, fault: str
    ) -> None:
        runpod_service.arm(fault, _POD, times=2, pod=up)
        assert runpod.describe(up).state is ObservedState.RUNNING
        assert runpod_service.armed() == []

    def test_a_pod_that_a_list_omits_is_not_gone(
        self, runpod: RunPodProvider, runpod_service: RunpodService, up: str
    ) -> None:
        other = _rent(runpod, "autopod-b")
        runpod_service.arm("list_omits", _LIST, pod=up)
        runpod.describe(other)
        assert runpod.describe(up).provider_id == up

    def test_a_pod_that_vanished_is_gone(self, runpod: RunPodProvider, runpod_service: RunpodService, up: str) -> None:
        runpod_service.arm("vanish", _POD, pod=up)
        with pytest.raises(Gone):
            runpod.describe(up)

    def test_a_pod_that_ended_by_itself_says_so(self, runpod: RunPodProvider, runpod_service: RunpodService) -> None:
        runpod_service.arm("image_exits", _CREATE)
        pod_id = _rent(runpod)
        runpod_service.advance(600)
        record = runpod.describe(pod_id)
        assert record.state is ObservedState.STOPPED
        assert "exited by runpod" in record.detail.lower()

    @pytest.mark.parametrize("fault", ["never_boots", "ports_never", "running_without_runtime", "image_hangs"])
    def test_a_pod_that_cannot_be_reached_has_no_address(
        self, runpod: RunPodProvider, runpod_service: RunpodService, fault: str
    ) -> None:
        runpod_service.arm(fault, _CREATE)
        pod_id = _rent(runpod)
        runpod_service.advance(1)
        assert runpod.describe(pod_id).address is None

    @pytest.mark.parametrize("wrong", ["", ".", "..", "a/../b"])
    @pytest.mark.parametrize("what", ["describe", "stop", "start", "terminate", "adopt"])
    def test_an_id_that_is_none_reaches_nobody(
        self, runpod: RunPodProvider, runpod_service: RunpodService, what: str, wrong: str
    ) -> None:
        with pytest.raises(ProviderError, match="no id"):
            getattr(runpod, what)(wrong)
        assert runpod_service.requests() == []

    def test_many_who_poll_cost_one_list_a_second_at_most(
        self, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        ids = [_rent(runpod, f"autopod-{number}") for number in range(6)]
        for _ in range(20):
            for pod_id in ids:
                runpod.describe(pod_id)
        asked = len(runpod_service.requests(_LIST)) + len(runpod_service.requests(_POD))
        assert asked <= 10, "120 looks"

    def test_a_429_is_waited_for_as_long_as_told_on_what_may_be_done_twice(
        self, runpod: RunPodProvider, runpod_service: RunpodService, up: str
    ) -> None:
        runpod_service.arm("rate_limited", _POD, times=2, seconds=1)
        assert runpod.describe(up).provider_id == up
        first, second, third = runpod_service.requests(_POD)[-3:]
        assert second["at"] - first["at"] >= 1
        assert third["at"] - second["at"] >= 1


class TestEnding:
    @pytest.mark.parametrize("fault", ["html_502", "error_500", "error_500_after", "cut_before", "cut_after"])
    def test_an_end_is_asked_for_until_it_is_answered(
        self, runpod: RunPodProvider, runpod_service: RunpodService, up: str, fault: str
    ) -> None:
        runpod_service.arm(fault, _DELETE, times=2)
        runpod.terminate(up)
        with pytest.raises(Gone):
            runpod.describe(up)
        sent = [each["path"] for each in runpod_service.requests(_DELETE)]
        assert sent == [f"/v2/pods/{up}"] * 3, "two whose answers were lost, and the one that was answered"

    def test_an_end_that_is_not_answered_is_an_error_that_names_no_id_to_kill(
        self, runpod: RunPodProvider, runpod_service: RunpodService, up: str
    ) -> None:
        for fault, route, end in (("html_502", _DELETE, runpod.terminate), ("html_502", _ACTION, runpod.stop)):
            runpod_service.arm(fault, route, times=3)
            with pytest.raises(ProviderError) as raised:
                end(up)
            assert type(raised.value) is ProviderError
            assert raised.value.pod_id is None, "ours is what `%autopod kill` takes, and a provider does not know it"
            assert "kill" not in str(raised.value)

    def test_a_key_without_the_right_to_end_a_pod_is_no_end(
        self, runpod: RunPodProvider, runpod_service: RunpodService, up: str
    ) -> None:
        runpod_service.arm("forbidden", _DELETE)
        with pytest.raises(AuthFailed):
            runpod.terminate(up)
        assert runpod.describe(up).state is ObservedState.RUNNING

    def test_a_locked_pod_does_not_stop_and_that_is_said(
        self, runpod: RunPodProvider, runpod_service: RunpodService, up: str
    ) -> None:
        runpod_service.arm("lock", _ACTION, pod=up)
        with pytest.raises(ProviderError, match=f"Pod {up} could not be stopped"):
            runpod.stop(up)
        assert runpod_service.pod(up)["status"] == "RUNNING"

    def test_a_stop_whose_answer_is_lost_is_a_stop(
        self, runpod: RunPodProvider, runpod_service: RunpodService, up: str
    ) -> None:
        runpod_service.arm("cut_after", _ACTION)
        runpod.stop(up)
        record = runpod.describe(up)
        assert record.state is ObservedState.STOPPED
        assert record.price_per_hour_usd == offer_of(runpod).stopped_price_per_hour_usd, "RunPod itself says 0"

    def test_a_machine_without_a_free_gpu_cannot_start_a_pod_now(
        self, runpod: RunPodProvider, runpod_service: RunpodService, up: str
    ) -> None:
        runpod.stop(up)
        runpod_service.arm("start_refused", _ACTION)
        with pytest.raises(NoCapacity):
            runpod.start(up)

    def test_a_start_is_sent_once(self, runpod: RunPodProvider, runpod_service: RunpodService, up: str) -> None:
        runpod.stop(up)
        runpod_service.arm("error_500_after", _ACTION)
        with pytest.raises(Uncertain):
            runpod.start(up)
        assert len(runpod_service.requests(_ACTION)) == 2
        runpod.start(up)
        assert len(runpod_service.requests(_ACTION)) == 2, "it runs, so there is nothing to ask for"


class TestOffers:
    def test_the_clouds_have_offers_of_their_own_and_a_price_of_0_is_none(self, runpod: RunPodProvider) -> None:
        offers = runpod.offers(OfferQuery())
        assert {offer.cloud for offer in offers if offer.gpu_id == A40} == {"secure"}
        assert {offer.cloud for offer in offers} == {"secure", "community"}
        assert {offer.cloud for offer in runpod.offers(OfferQuery(cloud="community"))} == {"community"}

    def test_what_is_out_of_stock_is_offered_as_such(
        self, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        runpod_service.stock(0, gpu=A40)
        assert offer_of(runpod).stock is Stock.NONE
        runpod_service.stock(1, gpu=A40, place="EU-RO-1")
        found = offer_of(runpod, region="EU")
        assert (found.stock, found.places) == (Stock.LOW, ("EU-RO-1",))
        assert offer_of(runpod, region="US").stock is Stock.NONE

    def test_a_network_volume_binds_an_offer_to_its_place_and_to_the_secure_cloud(
        self, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        volume = {"name": "v", "size": 100, "dataCenter": "EU-RO-1"}
        volume_id = runpod_service.request("POST", "/v2/network-volumes", json=volume).json()["id"]
        shape = PodShape(network_volume=volume_id)
        offers = runpod.offers(OfferQuery(shape=shape))
        assert {(offer.cloud, offer.region) for offer in offers} == {("secure", "EU-RO-1")}
        assert {offer.shape.volume_gb for offer in offers} == {0}
        record = runpod.create(order_of(offers[0]))
        assert runpod_service.request("GET", f"/v2/pods/{record.provider_id}").json()["dataCenterId"] == "EU-RO-1"
        with pytest.raises(UsageError, match="is in EU-RO-1, not in US"):
            runpod.offers(OfferQuery(shape=shape, region="US"))
        with pytest.raises(UsageError, match="no network volume"):
            runpod.offers(OfferQuery(shape=PodShape(network_volume="nobody")))
        with pytest.raises(UsageError, match="secure cloud only"):
            runpod.offers(OfferQuery(shape=shape, cloud="community"))

    @pytest.mark.parametrize("wrong", [{"cloud": "secur"}, {"region": "EU-RO-9"}])
    def test_a_word_that_runpod_does_not_have_is_your_mistake(
        self, runpod: RunPodProvider, wrong: dict[str, str]
    ) -> None:
        with pytest.raises(UsageError, match="Did you mean"):
            runpod.offers(OfferQuery(**wrong))  # type: ignore[arg-type] # a table of tests

    def test_settings_say_what_a_pod_is_like_when_nobody_does(
        self, runpod_service: RunpodService, tmp_path: Path
    ) -> None:
        provider = provider_at(
            runpod_service.url,
            tmp_path,
            key=runpod_service.api_key,
            image="img:1",
            disk_gb=73,
            volume_gb=146,
            default_region="EU",
            cloud_type="SECURE",
        )
        offer = offer_of(provider)
        assert (offer.shape.image, offer.shape.disk_gb, offer.shape.volume_gb) == ("img:1", 73, 146)
        assert offer.price_per_hour_usd == Decimal("0.43")
        assert {place[:2] for place in offer.places} == {"EU"}
        provider.close()


class TestMoney:
    def test_the_account_tells_balance_spend_and_limit(
        self, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        _rent(runpod)
        runpod_service.balance("12.5")
        account = runpod.account()
        assert account.balance_usd == pytest.approx(Decimal("12.5"), abs=Decimal("0.01"))
        assert account.spend_limit_per_hour_usd == 80
        assert account.spend_per_hour_usd == pytest.approx(offer_of(runpod).price_per_hour_usd, abs=Decimal("0.0001"))

    def test_network_volumes_have_bill_rows_of_their_own(
        self, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        begin = runpod_service.requests()  # nothing yet
        assert begin == []
        volume = {"name": "v", "size": 730, "dataCenter": "EU-RO-1"}
        volume_id = runpod_service.request("POST", "/v2/network-volumes", json=volume).json()["id"]
        since = runpod._clock.now()
        runpod_service.advance(5 * 3600)
        rows = [row for row in runpod.billing(since) if row.is_volume]
        assert {row.provider_id for row in rows} == {volume_id}
        assert rows[-1].amount_usd == Decimal("0.07")

    def test_a_key_that_is_revoked_is_told_from_everything_else(
        self, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        runpod.authenticate()
        runpod_service.set(key_revoked=True)
        for ask in (runpod.authenticate, runpod.account, runpod.list):
            with pytest.raises(AuthFailed):
                ask()

    def test_the_key_is_in_no_repr_and_in_no_error(self, runpod_service: RunpodService, tmp_path: Path) -> None:
        provider = provider_at(runpod_service.url, tmp_path, key=KEY)
        with pytest.raises(AuthFailed) as raised:
            provider.authenticate()
        assert KEY not in f"{raised.value!r} {provider!r} {vars(provider)!r}"
        provider.close()


def test_it_outlives_us_and_tells_a_watchdog_where_to_call(runpod: RunPodProvider) -> None:
    assert runpod.capabilities.outlives
    assert runpod.capabilities.can_stop
    assert runpod.capabilities.watchdog_url == runpod._http.base_url
