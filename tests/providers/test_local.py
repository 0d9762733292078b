"""What is particular to pods on this machine: processes, folders, leases, and two Pythons at the same pods."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.clock import SystemClock, TestClock
from autopod_nb.errors import Gone, ProviderError, Uncertain
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import ObservedState
from autopod_nb.providers.local import LocalProvider
from tests.leftovers import left_of, processes_of
from tests.providers.account import Account

_WITHIN_S = 15.0
_SECRET = "rpa_0123456789abcdefghijklmnop"


@pytest.fixture
def local(home: Path) -> Iterator[Account]:
    account = Account(LocalProvider(home / "pods", clock=SystemClock()), SystemClock(), home)
    yield account
    account.close()


def _folder(account: Account, pod_id: str) -> Path:
    return account.home / "pods" / pod_id


def _pid(account: Account, pod_id: str) -> int:
    pid: int = json.loads((_folder(account, pod_id) / "process.json").read_text())["pid"]
    return pid


def _wait_end(pid: int) -> None:
    with os.fdopen(os.pidfd_open(pid)) as handle:
        assert select.select([handle], [], [], _WITHIN_S)[0], f"process {pid} still runs"


class TestLease:
    def test_a_pod_whose_python_let_go_ends_with_its_lease_and_is_billed_no_longer(self, home: Path) -> None:
        provider = LocalProvider(home / "pods", clock=SystemClock(), lease_s=0.8)
        account = Account(provider, SystemClock(), home)
        pod_id = provider.create(account.order()).provider_id
        account.running(pod_id)
        begin = datetime.now(timezone.utc)
        provider.close()
        _wait_end_of_child(account, pod_id)
        assert not left_of(home, _WITHIN_S)
        assert provider.describe(pod_id).state is ObservedState.STOPPED
        assert "was not renewed" in provider.describe(pod_id).detail

        later = TestClock(datetime.now(timezone.utc))
        later.advance(3600)
        LocalProvider(home / "pods", clock=later, lease_s=0.8).terminate(pod_id)
        (row,) = provider.billing(begin)
        assert (row.end - begin).total_seconds() < 2, "the hour after its end is not billed"

    def test_a_pod_lives_on_while_its_lease_is_kept(self, home: Path) -> None:
        account = Account(LocalProvider(home / "pods", clock=TestClock(), lease_s=0.8), SystemClock(), home)
        pod_id = account.provider.create(account.order()).provider_id
        pid = _pid(account, pod_id)
        with os.fdopen(os.pidfd_open(pid)) as handle:
            assert not select.select([handle], [], [], 2.5)[0], "it ended although its lease was kept"
        account.close()

    def test_a_pod_that_another_python_took_over_outlives_its_first_one(self, home: Path) -> None:
        first = Account(LocalProvider(home / "pods", clock=SystemClock(), lease_s=0.8), SystemClock(), home)
        second = Account(LocalProvider(home / "pods", clock=SystemClock(), lease_s=0.8), SystemClock(), home)
        pod_id = first.provider.create(first.order()).provider_id
        second.provider.stop(pod_id)
        second.provider.start(pod_id)
        first.provider.adopt(pod_id)
        second.provider.close()
        with os.fdopen(os.pidfd_open(_pid(first, pod_id))) as handle:
            assert not select.select([handle], [], [], 2.5)[0], "it ended although its lease was kept"
        first.provider.terminate(pod_id)
        first.close()
        second.close()

    def test_a_pod_ends_when_its_python_is_killed(self, home: Path) -> None:
        """Nobody lets go in order: the owner is killed in the middle."""
        script = (
            "import sys, threading\nfrom pathlib import Path\nfrom autopod_nb.clock import SystemClock\n"
            "from autopod_nb.providers.local import LocalProvider\nfrom tests.providers.account import Account\n"
            "home = Path(sys.argv[1])\nprovider = LocalProvider(home / 'pods', clock=SystemClock(), lease_s=0.8)\n"
            "account = Account(provider, SystemClock(), home)\n"
            "account.running(provider.create(account.order()).provider_id)\n"
            "print('up', flush=True)\nthreading.Event().wait(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE) as owner:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"up\n"
            assert len(processes_of(home)) > 1
            owner.kill()
        assert not left_of(home, _WITHIN_S)


class TestEnds:
    def test_a_pod_that_was_killed_is_stopped_and_says_why_and_starts_again(self, local: Account) -> None:
        pod_id = local.provider.create(local.order()).provider_id
        local.running(pod_id)
        os.kill(_pid(local, pod_id), signal.SIGKILL)
        _wait_end_of_child(local, pod_id)
        record = local.provider.describe(pod_id)
        assert record.state is ObservedState.STOPPED
        assert record.detail == "its process was killed by SIGKILL"
        local.provider.start(pod_id)
        assert local.running(pod_id).state is ObservedState.RUNNING

    def test_a_pod_that_cannot_come_up_says_its_last_words(self, local: Account) -> None:
        order = replace(local.order(), public_key="ssh-ed25519 nonsense")
        pod_id = local.provider.create(order).provider_id
        _wait_end_of_child(local, pod_id)
        assert "its last words: localpod: " in local.provider.describe(pod_id).detail

    def test_terminating_leaves_neither_process_nor_zombie_nor_file(self, local: Account) -> None:
        pod_id = local.provider.create(local.order()).provider_id
        local.running(pod_id)
        pid = _pid(local, pod_id)
        local.provider.terminate(pod_id)
        assert not Path(f"/proc/{pid}").exists()
        assert not left_of(local.home, 2.0)
        assert not _folder(local, pod_id).exists()

    def test_a_process_id_that_is_used_again_is_not_the_pod(self, local: Account) -> None:
        """The number in the folder now belongs to another pod, whose name begins like this one's."""
        victim = local.provider.create(local.order(name="pod-10")).provider_id
        stale = local.provider.create(local.order(name="pod-1")).provider_id
        local.provider.stop(stale)
        reused = _pid(local, victim)
        (_folder(local, stale) / "process.json").write_text(json.dumps({"pid": reused}))
        assert local.provider.describe(stale).state is ObservedState.STOPPED
        local.provider.terminate(stale)
        assert local.provider.describe(victim).state is not ObservedState.STOPPED
        assert Path(f"/proc/{reused}").exists()


class TestTwoPythons:
    def test_another_process_sees_a_pod_and_ends_it(self, local: Account) -> None:
        pod_id = local.provider.create(local.order()).provider_id
        address = local.running(pod_id).address
        assert address is not None
        script = (
            "import sys\nfrom pathlib import Path\nfrom autopod_nb.clock import SystemClock\n"
            "from autopod_nb.providers.local import LocalProvider\n"
            "provider = LocalProvider(Path(sys.argv[1]), clock=SystemClock())\n"
            "(record,) = provider.list()\nprint(record.name, record.state.value, record.address.port)\n"
            "provider.terminate(record.provider_id)\nprint(len(provider.list()))\n"
        )
        command = [sys.executable, "-c", script, str(local.home / "pods")]
        other = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert other.stdout.split() == [pod_id, "running", str(address.port), "0"]
        with pytest.raises(Gone):
            local.provider.describe(pod_id)
        assert not left_of(local.home, _WITHIN_S)
        assert len(local.provider.billing(datetime(2000, 1, 1, tzinfo=timezone.utc))) == 1

    def test_a_pod_that_the_other_one_started_again_runs_for_both(self, local: Account) -> None:
        other = LocalProvider(local.home / "pods", clock=SystemClock())
        pod_id = local.provider.create(local.order()).provider_id
        other.stop(pod_id)
        assert local.provider.describe(pod_id).state is ObservedState.STOPPED
        other.start(pod_id)
        assert local.running(pod_id).address == other.describe(pod_id).address
        local.provider.terminate(pod_id)
        with pytest.raises(Gone):
            other.describe(pod_id)
        other.close()

    def test_ending_it_from_many_sides_at_once_books_it_once(self, local: Account) -> None:
        pod_id = local.provider.create(local.order()).provider_id
        others = [LocalProvider(local.home / "pods", clock=SystemClock()) for _ in range(4)]
        begin = threading.Barrier(len(others))

        def end(provider: LocalProvider) -> None:
            begin.wait(_WITHIN_S)
            try:
                provider.terminate(pod_id)
            except ProviderError:  # allowed: the caller asks again until it is sure
                provider.terminate(pod_id)

        threads = [threading.Thread(target=end, args=(other,)) for other in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_WITHIN_S)
        assert local.provider.list() == ()
        assert len(local.provider.billing(datetime(2000, 1, 1, tzinfo=timezone.utc))) == 1


class TestFolders:
    def test_a_name_that_is_taken_is_uncertain_and_the_pod_is_left_alone(self, local: Account) -> None:
        order = local.order()
        pod_id = local.provider.create(order).provider_id
        with pytest.raises(Uncertain, match=order.name):
            local.provider.create(order)
        assert [each.name for each in local.provider.list()] == [order.name]
        assert local.running(pod_id).state is ObservedState.RUNNING

    @pytest.mark.parametrize("name", ["", ".", "..", "../pods", "a/b", "/", "a\0b", "-x", "ü"])
    def test_a_name_that_leads_elsewhere_is_no_pod(self, home: Path, name: str) -> None:
        local = Account(LocalProvider(home / "pods", clock=SystemClock()), SystemClock(), home)
        bystander = home / "pods" / "other" / "order.json"
        bystander.parent.mkdir(parents=True)
        bystander.write_text("{}")
        local.provider.terminate(name)
        for ask in (local.provider.describe, local.provider.stop, local.provider.start):
            with pytest.raises(Gone):
                ask(name)
        if name:
            with pytest.raises(ProviderError, match="cannot be the name of a pod"):
                local.provider.create(local.order(name=name))
        assert local.provider.logs(name, 5) == ()
        assert bystander.exists()

    def test_where_no_folder_can_be_made_nothing_is_made(self, tmp_path: Path) -> None:
        (tmp_path / "pods").write_text("a file where the folder should be")
        local = Account(LocalProvider(tmp_path / "pods", clock=SystemClock()), SystemClock(), tmp_path)
        with pytest.raises(ProviderError, match="cannot be made") as caught:
            local.provider.create(local.order())
        assert not isinstance(caught.value, Uncertain)
        with pytest.raises(ProviderError):
            local.provider.list()

    def test_no_key_of_the_user_reaches_the_pod(self, local: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RUNPOD_API_KEY", _SECRET)
        monkeypatch.setenv("HF_TOKEN", _SECRET)
        monkeypatch.setenv("DB_PASSWORD", _SECRET)
        pod_id = local.provider.create(local.order()).provider_id
        local.running(pod_id)
        processes = processes_of(local.home)
        assert len(processes) >= 2, "the pod and its engine"
        for pid in processes:
            assert _SECRET.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        files = [path for path in _folder(local, pod_id).rglob("*") if path.is_file()]
        assert not [path for path in files if _SECRET.encode() in path.read_bytes()]
        assert _folder(local, pod_id).stat().st_mode & 0o077 == 0

    def test_a_bill_that_cannot_be_read_is_an_error_and_no_empty_bill(self, home: Path) -> None:
        provider = LocalProvider(home / "pods", clock=SystemClock())
        assert provider.billing(datetime(2000, 1, 1, tzinfo=timezone.utc)) == ()
        (home / "pods").mkdir(parents=True)
        (home / "pods" / "billing.jsonl").write_text("not a row\n")
        with pytest.raises(ProviderError, match="bill"):
            provider.billing(datetime(2000, 1, 1, tzinfo=timezone.utc))


def test_the_offers_are_the_reference_gpus_times_their_count(home: Path) -> None:
    provider = LocalProvider(home / "pods", clock=SystemClock())
    prices = {offer.gpu_type: offer.price_per_hour_usd for offer in provider.offers(OfferQuery(gpu_count=2))}
    assert prices == {
        "RTX A5000": Decimal("0.54"),
        "A40": Decimal("0.80"),
        "RTX 3090": Decimal("0.92"),
        "RTX A6000": Decimal("0.98"),
        "RTX 4090": Decimal("1.18"),
    }
    assert not home.exists(), "asking makes nothing"


def _wait_end_of_child(account: Account, pod_id: str) -> None:
    """Until the pod's process is over; it may be so already, and reaped."""
    try:
        _wait_end(_pid(account, pod_id))
    except ProcessLookupError:
        return
