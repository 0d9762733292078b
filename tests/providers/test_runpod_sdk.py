"""The provider over the official package: the real one, against a made-up RunPod. Its contract is in another file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.clock import Clock, FileClock, SystemClock
from autopod_nb.config import Secret, Settings
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
from autopod_nb.models.offer import OfferQuery, PodShape
from autopod_nb.models.pod import ObservedState
from autopod_nb.providers.base import PodOrder
from autopod_nb.providers.runpod import RunPodProvider
from autopod_nb.providers.runpod_sdk import RunPodSdkProvider, make
from autopod_nb.threads import ServiceThread
from tests.fakes.service import RunpodService
from tests.providers.runpod_side import A40, KEY, PUBLIC_KEY, soon

_DEPLOY = "podFindAndDeployOnDemand"
_WITHIN_S = 30.0
_NASTY = (
    "quotes \" and '",
    "two\nlines\r\n\tand a tab",
    "C:\\new\\table",
    '{"a": [1, "b"], "c": "\\n"}',
    '", stopAfter: "2026-01-01T00:00:00Z',
    "Grüße, 你好, \N{GRINNING FACE}\N{ZERO WIDTH JOINER}\N{ROCKET}",
    "$(id) `id` ${HOME} %s {0}",
    "",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("runpod") is None, reason="no package runpod: pip install 'autopod-nb[runpod-sdk]'"
    ),
]


def _provider_at(
    service: RunpodService, home: Path, clock: Clock, *, call_s: float = 45.0, key: str = ""
) -> RunPodSdkProvider:
    settings = Settings(
        home=home, provider="runpod_sdk", api_key=Secret(key or service.api_key), api_base_url=service.url
    )
    return RunPodSdkProvider(settings, clock=clock, call_s=call_s, retry_pause_s=0.02)


@pytest.fixture(scope="module")
def shared_sdk(shared_runpod: RunpodService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodSdkProvider]:
    """One for all tests, as its process takes seconds to start."""
    assert shared_runpod.clock_file is not None
    provider = _provider_at(shared_runpod, tmp_path_factory.mktemp("home"), FileClock(shared_runpod.clock_file))
    yield provider
    provider.close()


@pytest.fixture
def sdk(runpod_service: RunpodService, shared_sdk: RunPodSdkProvider) -> RunPodSdkProvider:
    """The same, at a service that begins anew."""
    assert runpod_service.counts() == {}
    return shared_sdk


@pytest.fixture
def impatient(runpod_service: RunpodService, tmp_path: Path) -> Iterator[RunPodSdkProvider]:
    """One that waits a second and a half for an answer; its process runs."""
    assert runpod_service.clock_file is not None
    provider = _provider_at(runpod_service, tmp_path, FileClock(runpod_service.clock_file), call_s=1.5)
    provider.authenticate()
    yield provider
    provider.close()


def _order(provider: RunPodSdkProvider, name: str = "autopod-a", **env: str) -> PodOrder:
    offer = next(offer for offer in provider.offers(OfferQuery()) if offer.gpu_id == A40)
    return PodOrder(name=name, offer=offer, public_key=PUBLIC_KEY, env=env)


def _running(provider: RunPodSdkProvider, service: RunpodService) -> str:
    """Rent a pod and let its boot go by."""
    pod_id = provider.create(_order(provider)).provider_id
    service.advance(60)
    return pod_id


class TestTheWayThere:
    def test_making_one_starts_nothing_and_the_package_is_never_in_this_process(
        self, runpod_service: RunpodService, tmp_path: Path
    ) -> None:
        """Not even after calls: it changes log levels and starts programs."""
        settings = Settings(
            home=tmp_path,
            provider="runpod_sdk",
            api_key=Secret(runpod_service.api_key),
            api_base_url=runpod_service.url + "/",
        )
        provider = make(settings, SystemClock())
        pids = [provider.pid]
        assert provider.offers(OfferQuery())
        pids.append(provider.pid)
        assert pids == [None, None], "the catalog is not asked of the package"
        provider.authenticate()
        assert provider.pid is not None
        assert "runpod" not in sys.modules
        provider.close()

    def test_a_key_that_is_refused_is_told(self, runpod_service: RunpodService, tmp_path: Path) -> None:
        provider = _provider_at(runpod_service, tmp_path, SystemClock(), key=KEY)
        with pytest.raises(AuthFailed, match="key"):
            provider.authenticate()
        provider.close()

    def test_it_says_who_asks(self, sdk: RunPodSdkProvider, runpod_service: RunpodService) -> None:
        sdk.authenticate()
        (asked,) = runpod_service.requests("myself")
        assert "RunPod-Python-SDK" in asked["user_agent"]
        assert "Integration/autopod-nb" in asked["user_agent"]

    def test_what_the_package_cannot_do_is_asked_of_the_rest(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService
    ) -> None:
        runpod_service.balance("12.5")
        assert sdk.account().balance_usd == Decimal("12.5")
        assert {offer.provider for offer in sdk.offers(OfferQuery())} == {"runpod_sdk"}

    def test_spot_pods_are_refused_before_anything_is_asked(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService
    ) -> None:
        with pytest.raises(UsageError, match="spot"):
            sdk.offers(OfferQuery(spot=True))
        assert runpod_service.counts() == {}


class TestAnOrder:
    def test_it_is_one_mutation_and_its_pod_is_as_ordered(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService
    ) -> None:
        record = sdk.create(_order(sdk, GREETING="hello"))
        assert (record.name, record.state) == ("autopod-a", ObservedState.PENDING)
        counts = runpod_service.counts()
        assert (counts[_DEPLOY], counts["gpuTypes"]) == (1, 1)
        assert "deployCpuPod" not in counts
        pod = runpod_service.request("GET", f"/v2/pods/{record.provider_id}").json()
        assert (pod["disk"], pod["ports"], pod["cloud"]) == (60, ["22/tcp"], _order(sdk).offer.cloud.upper())
        assert pod["mounts"] == {"persistent": {"size": 20, "path": "/workspace"}}
        assert pod["env"]["GREETING"] == "hello"
        assert pod["env"]["PUBLIC_KEY"] == PUBLIC_KEY

    def test_texts_arrive_as_they_are(self, sdk: RunPodSdkProvider, runpod_service: RunpodService) -> None:
        """The package pastes them into its query."""
        env = {f"TEXT_{number}": text for number, text in enumerate(_NASTY)}
        name = 'autopod "a\\b" \N{ROCKET}\nnext'
        record = sdk.create(_order(sdk, name, **env))
        pod = runpod_service.request("GET", f"/v2/pods/{record.provider_id}").json()
        assert pod["name"] == name
        assert {key: value for key, value in pod["env"].items() if key in env} == env
        assert sdk.describe(record.provider_id).name == name

    def test_a_pod_without_a_gpu_is_never_rented(self, sdk: RunPodSdkProvider, runpod_service: RunpodService) -> None:
        """The package does so when it is given no GPU."""
        order = _order(sdk)
        with pytest.raises(ProviderError, match="no GPU"):
            sdk.create(replace(order, offer=replace(order.offer, gpu_id="")))
        assert not {"deployCpuPod", _DEPLOY} & set(runpod_service.counts())

    def test_a_gpu_that_is_unknown_is_refused_before_the_order(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService
    ) -> None:
        order = _order(sdk)
        with pytest.raises(ProviderError, match="No GPU found") as caught:
            sdk.create(replace(order, offer=replace(order.offer, gpu_id='NVIDIA "X')))
        assert type(caught.value) is ProviderError
        assert _DEPLOY not in runpod_service.counts()

    def test_an_oldest_cuda_and_a_place_are_kept(self, sdk: RunPodSdkProvider, runpod_service: RunpodService) -> None:
        query = OfferQuery(cloud="secure", region="EU", cuda="12.4", shape=PodShape(image="a/b:c", volume_gb=5))
        offer = next(offer for offer in sdk.offers(query) if offer.places)
        record = sdk.create(replace(_order(sdk), offer=offer))
        pod = runpod_service.request("GET", f"/v2/pods/{record.provider_id}").json()
        assert pod["dataCenterId"] == offer.places[0]
        assert pod["image"] == "a/b:c"

    @pytest.mark.parametrize(
        ("fault", "error", "made"),
        [
            ("error_500", Uncertain, 0),
            ("error_500_after", Uncertain, 1),
            ("html_502", Uncertain, 0),
            ("html_502_after", Uncertain, 1),
            ("cloudflare_1010", Uncertain, 0),
            ("cut_before", Uncertain, 0),
            ("cut_after", Uncertain, 1),
            ("opaque_error", Uncertain, 0),
            ("opaque_error_after", Uncertain, 1),
            ("null_data", Uncertain, 0),
            ("forbidden", Uncertain, 0),
            ("unauthorized", AuthFailed, 0),
            ("rate_limited", RateLimited, 0),
            ("no_balance", LowBalance, 0),
            ("no_capacity", NoCapacity, 0),
            ("no_capacity_disk", NoCapacity, 0),
            ("no_capacity_machine", NoCapacity, 0),
        ],
    )
    def test_an_order_that_fails_is_sent_once_and_a_pod_that_may_be_there_is_found(
        self,
        sdk: RunPodSdkProvider,
        runpod_service: RunpodService,
        fault: str,
        error: type[ProviderError],
        made: int,
    ) -> None:
        order = _order(sdk, TOKEN="hunter2-and-more")
        runpod_service.arm(fault, _DEPLOY)
        with pytest.raises(ProviderError) as caught:
            sdk.create(order)
        assert type(caught.value) is error
        assert "hunter2" not in str(caught.value)
        assert "podFindAndDeploy" not in str(caught.value)
        assert runpod_service.armed() == []
        assert runpod_service.counts()[_DEPLOY] == 1
        assert [each.name for each in sdk.list()] == [order.name] * made

    def test_an_answer_that_does_not_come_is_not_waited_for_and_nothing_of_it_happens_later(
        self, impatient: RunPodSdkProvider, runpod_service: RunpodService
    ) -> None:
        """The look at the GPU hangs: the order after it would be sent when nobody expects it any more."""
        order, before = _order(impatient), impatient.pid
        runpod_service.arm("hang_before", "gpuTypes", seconds=600)
        with pytest.raises(Uncertain, match=r"1\.5 s"):
            impatient.create(order)
        runpod_service.advance(1000)
        assert impatient.list() == ()
        assert impatient.pid not in (None, before)
        assert _DEPLOY not in runpod_service.counts()

    def test_a_pod_whose_order_hung_is_found_by_its_name(
        self, impatient: RunPodSdkProvider, runpod_service: RunpodService
    ) -> None:
        order = _order(impatient)
        runpod_service.arm("hang_after", _DEPLOY, seconds=600)
        with pytest.raises(Uncertain):
            impatient.create(order)
        assert [each.name for each in impatient.list()] == [order.name]
        assert runpod_service.counts()[_DEPLOY] == 1

    def test_a_stop_does_not_wait_behind_an_order(self, sdk: RunPodSdkProvider, runpod_service: RunpodService) -> None:
        pod_id, order = _running(sdk, runpod_service), _order(sdk, "autopod-b")
        runpod_service.arm("hang_before", _DEPLOY, seconds=600)
        names: list[str] = []
        thread = ServiceThread("autopod-test-order", lambda _stop: names.append(sdk.create(order).name)).start()
        try:
            assert soon(lambda: runpod_service.counts().get(_DEPLOY) == 2)
            sdk.stop(pod_id)
            assert names == []
        finally:
            runpod_service.advance(1000)
        assert thread.join(_WITHIN_S)
        assert names == ["autopod-b"]


class TestReading:
    def test_a_pod_is_told_as_the_other_provider_tells_it(
        self, sdk: RunPodSdkProvider, runpod: RunPodProvider, runpod_service: RunpodService
    ) -> None:
        pod_id = _running(sdk, runpod_service)
        ours, theirs = sdk.describe(pod_id), runpod.describe(pod_id)
        for what in ("name", "state", "gpu", "price_per_hour_usd"):
            assert getattr(ours, what) == getattr(theirs, what), what
        assert ours.price_per_hour_usd == _order(sdk).offer.price_per_hour_usd
        sdk.stop(pod_id)
        ours, theirs = sdk.describe(pod_id), runpod.describe(pod_id)
        for what in ("state", "address", "price_per_hour_usd", "detail"):
            assert getattr(ours, what) == getattr(theirs, what), what
        assert ours.detail.startswith("Exited by user")

    def test_a_price_of_zero_means_that_it_is_not_said(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService
    ) -> None:
        pod_id = _running(sdk, runpod_service)
        runpod_service.arm("cost_zero")
        assert sdk.describe(pod_id).price_per_hour_usd is None

    def test_no_pod_is_believed_when_the_list_says_so_too(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService
    ) -> None:
        """An empty answer to the question for one pod looks the same whether there is none or none was found."""
        pod_id = _running(sdk, runpod_service)
        runpod_service.arm("null_data", "pod")
        sdk.adopt(pod_id)
        assert runpod_service.armed() == []
        runpod_service.arm("vanish", "pod", pod=pod_id)
        with pytest.raises(Gone):
            sdk.adopt(pod_id)

    @pytest.mark.parametrize("fault", ["error_500", "html_502", "cut_before"])
    def test_a_read_is_repeated(self, sdk: RunPodSdkProvider, runpod_service: RunpodService, fault: str) -> None:
        pod_id = _running(sdk, runpod_service)
        runpod_service.arm(fault, "myself", times=2)
        assert [each.provider_id for each in sdk.list()] == [pod_id]
        assert runpod_service.armed() == []

    @pytest.mark.parametrize("fault", ["error_500", "html_502", "cut_before", "null_data", "opaque_error", "forbidden"])
    def test_a_list_that_cannot_be_read_is_an_error_and_never_empty(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService, fault: str
    ) -> None:
        runpod_service.arm(fault, "myself", times=9)
        with pytest.raises(ProviderError):
            sdk.list()
        assert 1 <= runpod_service.counts()["myself"] <= 3

    @pytest.mark.parametrize(("fault", "error"), [("unauthorized", AuthFailed), ("rate_limited", RateLimited)])
    def test_a_refusal_is_not_asked_again(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService, fault: str, error: type[ProviderError]
    ) -> None:
        runpod_service.arm(fault, "myself")
        with pytest.raises(error):
            sdk.list()
        assert runpod_service.counts()["myself"] == 1

    @pytest.mark.parametrize("pod_id", ["", "..", 'a" }) { id } }', "a/b"])
    def test_what_is_no_id_is_asked_nowhere(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService, pod_id: str
    ) -> None:
        for what in (sdk.describe, sdk.stop, sdk.start, sdk.terminate, sdk.adopt):
            with pytest.raises(ProviderError, match="no id"):
                what(pod_id)
        assert runpod_service.counts() == {}


class TestChanges:
    @pytest.mark.parametrize("fault", ["error_500", "null_data"])
    def test_an_end_that_the_package_takes_for_done_is_looked_at(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService, fault: str
    ) -> None:
        """It looks for ``errors`` only, so that a 500 without them ends quietly, and the pod runs on."""
        pod_id = _running(sdk, runpod_service)
        runpod_service.arm(fault, "podTerminate")
        with pytest.raises(ProviderError, match="still running") as caught:
            sdk.terminate(pod_id)
        assert caught.value.pod_id is None
        assert not runpod_service.pod(pod_id)["is_gone"]
        sdk.terminate(pod_id)
        assert runpod_service.pod(pod_id)["is_gone"]

    @pytest.mark.parametrize("fault", ["html_502", "cut_before", "cut_after", "error_500_after", "html_502_after"])
    def test_an_end_whose_answer_is_lost_is_asked_for_again(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService, fault: str
    ) -> None:
        pod_id = _running(sdk, runpod_service)
        runpod_service.arm(fault, "podTerminate")
        sdk.terminate(pod_id)
        assert runpod_service.pod(pod_id)["is_gone"]

    def test_a_pod_that_is_shown_for_a_while_after_its_end_is_ended(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService
    ) -> None:
        pod_id = _running(sdk, runpod_service)
        runpod_service.set(terminated_shown_s=600.0)
        sdk.terminate(pod_id)
        assert sdk.describe(pod_id).state is ObservedState.TERMINATED

    @pytest.mark.parametrize("what", ["stop", "terminate"])
    def test_an_end_that_fails_for_good_names_no_id_to_kill(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService, what: str
    ) -> None:
        pod_id = _running(sdk, runpod_service)
        runpod_service.arm("html_502", times=99)
        with pytest.raises(ProviderError) as caught:
            getattr(sdk, what)(pod_id)
        assert caught.value.pod_id is None

    @pytest.mark.parametrize("fault", ["lock", "null_data"])
    def test_a_stop_that_was_not_done_is_an_error(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService, fault: str
    ) -> None:
        pod_id = _running(sdk, runpod_service)
        runpod_service.arm(fault, "podStop", pod=pod_id)
        with pytest.raises(ProviderError) as caught:
            sdk.stop(pod_id)
        assert caught.value.pod_id is None
        assert runpod_service.pod(pod_id)["intent"] == "RUNNING"

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ("start_refused", NoCapacity),
            ("cut_after", Uncertain),
            ("html_502_after", Uncertain),
            ("null_data", Uncertain),
            ("opaque_error", Uncertain),
            ("unauthorized", AuthFailed),
        ],
    )
    def test_a_start_is_sent_once(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService, fault: str, error: type[ProviderError]
    ) -> None:
        pod_id = _running(sdk, runpod_service)
        sdk.stop(pod_id)
        runpod_service.arm(fault, "podResume")
        with pytest.raises(ProviderError) as caught:
            sdk.start(pod_id)
        assert type(caught.value) is error
        assert runpod_service.counts()["podResume"] == 1

    def test_a_start_has_as_many_gpus_as_before_and_one_that_runs_is_left_alone(
        self, sdk: RunPodSdkProvider, runpod_service: RunpodService
    ) -> None:
        offer = next(offer for offer in sdk.offers(OfferQuery(gpu_count=2)) if offer.gpu_id == A40)
        pod_id = sdk.create(replace(_order(sdk), offer=offer)).provider_id
        sdk.start(pod_id)
        assert "podResume" not in runpod_service.counts()
        sdk.stop(pod_id)
        sdk.start(pod_id)
        (asked,) = runpod_service.requests("podResume")
        query: Any = asked["body"]["query"]
        assert "gpuCount: 2" in query
        assert sdk.describe(pod_id).state is ObservedState.RUNNING
