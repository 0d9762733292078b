"""A machine that the user already has: the contract as far as it applies, one at a time, and a job over OpenSSH."""

from __future__ import annotations

import getpass
import json
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock, TestClock
from autopod_nb.config import Settings, read_settings
from autopod_nb.config_file import set_value
from autopod_nb.errors import AuthFailed, ConfigError, Gone, NoCapacity, ProviderError, Uncertain, UsageError
from autopod_nb.jobs.spec import make_spec
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import ObservedState, PodRecord, PodState
from autopod_nb.providers import ssh_host
from autopod_nb.providers.base import PodOrder
from autopod_nb.providers.ssh_host import SshHostProvider
from autopod_nb.session.build import build_session
from autopod_nb.session.commands import PodRequest
from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from tests.providers import test_contract as contract
from tests.providers.account import Account
from tests.providers.ssh_host_account import NO_SSHD, PRICE, SSHD, free_port, start_openssh
from tests.providers.ssh_host_account import ssh_host as open_ssh_host
from tests.session.graphs import GRAPHS
from tests.ssh.live_pod import start_pod

_WITHIN_S = 30.0
_needs_sshd = pytest.mark.skipif(not SSHD.exists(), reason=NO_SSHD)


def _settings(home: Path, **more: object) -> Settings:
    return replace(Settings(home=home, provider="ssh_host", host="gpu.example.com"), **more)  # type: ignore[arg-type] # fields


def _provider(home: Path, **more: object) -> SshHostProvider:
    return ssh_host.make(_settings(home, **more), TestClock())


def _order(provider: SshHostProvider, name: str = "autopod-one") -> PodOrder:
    (offer,) = provider.offers(OfferQuery())
    return PodOrder(name=name, offer=offer, public_key="ssh-ed25519 AAAA")


def _record_path(home: Path, name: str = "autopod-one") -> Path:
    return home / "ssh_host" / f"{name}.json"


# --- the contract ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_account() -> Callable[[Path], Account]:
    """In the place of the contract's: this provider alone."""
    return open_ssh_host


@_needs_sshd
class TestContractWithoutAPod(contract.TestWithoutAPod):
    """All of it, but that a machine of one's own costs nothing while it is stopped, and has memory nobody knows of."""

    @pytest.mark.parametrize("gpu_count", [1, 2])
    def test_offers_are_exact_and_for_the_count_that_was_asked(self, account: Account, gpu_count: int) -> None:
        (offer,) = account.provider.offers(OfferQuery(gpu_count=gpu_count))
        assert (offer.provider, offer.gpu_count) == (account.provider.name, gpu_count)
        assert (offer.gpu_type, offer.region, offer.vram_gb) == ("your machine", "127.0.0.1", 0)
        assert (offer.price_per_hour_usd, offer.stopped_price_per_hour_usd) == (PRICE, Decimal(0))


@_needs_sshd
class TestContractOfARunningPod(contract.TestARunningPod):
    """All of it, but that the machine gets no variables from us."""

    def test_its_address_takes_our_key_and_names_what_is_there(self, account: Account, pod: PodRecord) -> None:
        assert pod.address is not None
        connection = account.log_in(pod)
        try:
            environ = connection.read_environ(pod.address.environ_path)
            assert "GREETING" not in environ
            assert environ["USER"] == getpass.getuser()
            listed = connection.run(f"cd '{pod.address.comfyui_dir}' && ls", timeout_s=20).stdout.split()
            assert listed == [b"input", b"output"]
        finally:
            connection.close()


@_needs_sshd
def test_closing_twice_is_fine_and_the_machine_can_be_let_go_after_it(
    open_account: Callable[[Path], Account], tmp_path: Path
) -> None:
    account = open_account(tmp_path / "home")
    try:
        pod_id = account.provider.create(account.order()).provider_id
        account.provider.close()
        account.provider.close()
        assert account.provider.describe(pod_id).state is ObservedState.RUNNING
        account.provider.terminate(pod_id)
        assert account.provider.list() == ()
    finally:
        account.close()


# --- what it offers, and what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "kind"), [("0", MoneyKind.SIMULATED), ("0.35", MoneyKind.REAL)])
def test_a_price_is_real_money_and_none_is_nobodys(tmp_path: Path, price: str, kind: MoneyKind) -> None:
    (offer,) = _provider(tmp_path, price_per_hour_usd=Decimal(price)).offers(OfferQuery())
    assert (offer.kind, offer.price_per_hour_usd) == (kind, Decimal(price))


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (OfferQuery(region="GPU.ex"), 1),
        (OfferQuery(region="EU"), 0),
        (OfferQuery(cloud="secure"), 0),
        (OfferQuery(spot=True), 0),
    ],
)
def test_a_wish_that_the_machine_cannot_have_finds_nothing(tmp_path: Path, query: OfferQuery, count: int) -> None:
    assert len(_provider(tmp_path).offers(query)) == count


def test_without_a_host_the_key_and_the_command_are_named_and_nothing_is_made(tmp_path: Path) -> None:
    order = _order(_provider(tmp_path))
    provider = _provider(tmp_path, host=None)
    for use in (provider.authenticate, lambda: provider.offers(OfferQuery()), lambda: provider.create(order)):
        with pytest.raises(ConfigError, match=r"`%autopod config set providers\.ssh_host\.host HOST`"):
            use()
    assert provider.list() == ()
    assert not (tmp_path / "ssh_host").exists()


def test_a_stop_is_refused_with_the_reason_and_the_machine_stays_in_use(tmp_path: Path) -> None:
    provider = _provider(tmp_path)
    before = provider.create(_order(provider))
    with pytest.raises(ProviderError, match="This machine is yours") as caught:
        provider.stop("autopod-one")
    assert not isinstance(caught.value, Gone)
    assert str(caught.value) == provider.capabilities.no_end
    assert provider.list() == (before,)
    able = provider.capabilities
    assert (able.can_stop, able.can_bill, able.outlives) == (False, False, False)


class TestAuthenticate:
    def test_a_key_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        provider = _provider(tmp_path, ssh_key_path=tmp_path / "id_none")
        with pytest.raises(AuthFailed, match=r"no SSH key .*id_none .*providers\.ssh_host\.ssh_key_path"):
            provider.authenticate()

    @pytest.mark.parametrize("host", ["127.0.0.1", "a..b", "x" * 70 + ".invalid"])
    def test_where_nobody_answers_host_and_port_are_named(self, tmp_path: Path, host: str) -> None:
        port = free_port()
        with pytest.raises(ProviderError, match=rf"No SSH server answers at {host}, port {port}: .*ssh_host\.host"):
            _provider(tmp_path, host=host, port=port).authenticate()

    @pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n", b""])
    def test_what_is_no_ssh_server_is_said_to_be_none(self, tmp_path: Path, greeting: bytes) -> None:
        with _listening(greeting) as port, pytest.raises(ProviderError, match=f"port {port} is no SSH server"):
            _provider(tmp_path, host="127.0.0.1", port=port).authenticate()


@contextmanager
def _listening(greeting: bytes) -> Iterator[int]:
    """A server that greets one visitor and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            visitor, _ = server.accept()
            visitor.sendall(greeting)
            visitor.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(_WITHIN_S)


# --- in use ----------------------------------------------------------------------------------------------------------


class TestInUse:
    def test_it_is_written_privately_and_read_by_another_process(self, tmp_path: Path) -> None:
        provider = _provider(tmp_path, port=2222, user="me", price_per_hour_usd=Decimal("0.10"))
        made = provider.create(_order(provider))
        assert (made.price_per_hour_usd, made.host_id, made.state) == (
            Decimal("0.10"),
            "gpu.example.com",
            ObservedState.RUNNING,
        )
        assert made.created == datetime(2026, 1, 1, tzinfo=timezone.utc)
        assert stat.S_IMODE(_record_path(tmp_path).stat().st_mode) == 0o600
        code = (
            "import sys\nfrom pathlib import Path\nfrom autopod_nb.clock import SystemClock\n"
            "from autopod_nb.config import Settings\nfrom autopod_nb.providers.ssh_host import make\n"
            "provider = make(Settings(home=Path(sys.argv[1])), SystemClock())\n"
            "(record,) = provider.list()\nprint(record.name, record.address.user, record.address.port)\n"
            "provider.adopt(record.name)\nprovider.terminate(record.name)\nprint(len(provider.list()))\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path)]
        other = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert other.stdout.split() == ["autopod-one", "me", "2222", "0"]
        with pytest.raises(Gone):
            provider.describe("autopod-one")
        assert list((tmp_path / "ssh_host").iterdir()) == []

    @pytest.mark.parametrize(
        ("told", "known"),
        [
            ({"remote_comfyui_dir": "/opt/ComfyUI", "remote_comfyui_port": 8189}, ("/opt/ComfyUI", 8189)),
            ({"remote_comfyui_dir": "/opt/ComfyUI"}, ("", 0)),
            ({"remote_comfyui_port": 8189}, ("", 0)),
            ({}, ("", 0)),
        ],
    )
    def test_half_a_place_of_comfyui_is_looked_for_as_a_whole(
        self, tmp_path: Path, told: dict[str, object], known: tuple[str, int]
    ) -> None:
        """Property: an address that has a port has a folder, too, for a port alone is taken as looked for."""
        provider = _provider(tmp_path, **told)
        address = provider.create(_order(provider)).address
        assert address is not None
        assert (address.comfyui_dir, address.comfyui_port) == known

    def test_a_second_one_finds_it_taken_until_the_first_lets_go(self, tmp_path: Path) -> None:
        first, second = _provider(tmp_path), _provider(tmp_path, host="GPU.example.com")
        first.create(_order(first))
        with pytest.raises(NoCapacity, match=r"in use as autopod-one, .*`%autopod pods`") as caught:
            second.create(_order(second, "autopod-two"))
        assert str(_record_path(tmp_path)) in str(caught.value)
        assert [record.name for record in second.list()] == ["autopod-one"]
        first.terminate("autopod-one")
        assert second.create(_order(second, "autopod-two")).name == "autopod-two"

    def test_the_same_name_again_is_uncertain_so_that_it_is_looked_up(self, tmp_path: Path) -> None:
        provider = _provider(tmp_path)
        made = provider.create(_order(provider))
        with pytest.raises(Uncertain, match="in use as autopod-one already"):
            provider.create(_order(provider))
        assert provider.list() == (made,)

    def test_another_machine_may_be_in_use_beside_it_and_each_keeps_its_address(self, tmp_path: Path) -> None:
        """Also when the settings name another by now."""
        first, second = _provider(tmp_path), _provider(tmp_path, port=2222)
        first.create(_order(first))
        second.create(_order(second, "autopod-two"))
        ports = [record.address.port for record in first.list() if record.address is not None]
        assert ports == [22, 2222]

    def test_of_many_that_take_it_at_once_one_gets_it(self, tmp_path: Path) -> None:
        begin, got, refused = threading.Barrier(8), list[str](), list[str]()

        def take(number: int) -> None:
            provider = _provider(tmp_path)
            order = _order(provider, f"autopod-{number}")
            begin.wait(_WITHIN_S)
            try:
                got.append(provider.create(order).name)
            except NoCapacity as error:
                refused.append(str(error))

        threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_WITHIN_S)
        assert (len(got), len(refused)) == (1, 7)
        assert [record.name for record in _provider(tmp_path).list()] == got

    @pytest.mark.parametrize("name", ["../escape", "", ".", "..", "a/b", "-x", ".hidden"])
    def test_a_name_that_is_no_file_name_is_refused_and_touches_nothing(self, tmp_path: Path, name: str) -> None:
        provider = _provider(tmp_path)
        provider.create(_order(provider))
        (tmp_path / "escape.json").write_text("{}")
        with pytest.raises(ProviderError, match="cannot be a name"):
            provider.create(_order(_provider(tmp_path, port=1), name))
        provider.terminate(name)
        with pytest.raises(Gone):
            provider.describe(name)
        assert (tmp_path / "escape.json").exists()
        assert len(provider.list()) == 1


@pytest.mark.faults
class TestDamage:
    @pytest.mark.parametrize(
        "change",
        [
            {"port": "22"},
            {"port": True},
            {"price_per_hour_usd": "dear"},
            {"created": "yesterday"},
            {"more": 1},
            {"host": None},
        ],
    )
    def test_a_spoilt_record_is_named_and_is_never_an_empty_list(
        self, tmp_path: Path, change: dict[str, object]
    ) -> None:
        provider = _provider(tmp_path)
        provider.create(_order(provider))
        path = _record_path(tmp_path)
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        other = _order(_provider(tmp_path), "autopod-two")
        for use in (provider.list, lambda: provider.describe("autopod-one"), lambda: provider.create(other)):
            with pytest.raises(ProviderError, match=r"autopod-one\.json cannot be read") as caught:
                use()
            assert not isinstance(caught.value, (Gone, NoCapacity))
        provider.terminate("autopod-one")
        assert provider.list() == ()

    @pytest.mark.parametrize("text", ["", "[]", "{", "null"])
    def test_a_record_that_is_no_record_is_likewise(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "ssh_host").mkdir()
        _record_path(tmp_path).write_text(text)
        with pytest.raises(ProviderError, match=r"autopod-one\.json cannot be read"):
            _provider(tmp_path).list()

    def test_a_file_in_the_place_of_the_folder_is_a_provider_error_everywhere(self, tmp_path: Path) -> None:
        (tmp_path / "ssh_host").write_text("")
        provider = _provider(tmp_path)
        order = _order(provider)
        for use in (provider.list, lambda: provider.create(order), lambda: provider.describe("autopod-one")):
            with pytest.raises(ProviderError, match="cannot be"):
                use()


# --- a session on it -------------------------------------------------------------------------------------------------


@_needs_sshd
def test_a_job_runs_on_the_machine_over_openssh_and_the_machine_runs_on_after_it(home: Path, tmp_path: Path) -> None:
    """Connect, run, let go: through ``config.json``, sshd, tunnel and a ComfyUI that is there already."""
    machine = start_pod(tmp_path / "machine", tmp_path / "pod")
    server = start_openssh(tmp_path / "sshd", public_line(load_key(own_key_path(tmp_path / "keys"))))
    try:
        told = {"host": "127.0.0.1", "port": server.port, "user": getpass.getuser(), "price_per_hour_usd": "0.25"}
        told |= {"ssh_key_path": own_key_path(tmp_path / "keys")}
        told |= {f"comfyui_{what}": machine.facts[f"comfyui_{what}"] for what in ("dir", "port")}
        for name, value in told.items():
            set_value(home, f"providers.ssh_host.{name}", str(value))
        settings = read_settings({"AUTOPOD_HOME": str(home)}, provider="ssh_host")
        output = _render(settings, tmp_path)
        assert output.read_bytes().startswith(b"\x89PNG")
        assert ssh_host.make(settings, SystemClock()).list() == (), "it was let go"
        assert machine.process.poll() is None, "nothing on it was ended"
        assert server.process.poll() is None
    finally:
        server.close()
        machine.end()


def _render(settings: Settings, folder: Path) -> Path:
    """A session from connect to close with one job in it. Returns the picture."""
    template, output = folder / "noise.json", folder / "picture.png"
    template.write_text(json.dumps(GRAPHS["noise"]))
    clock = SystemClock()
    session = build_session(settings, clock=clock, provider=ssh_host.make(settings, clock))
    try:
        pod_id = session.connect(session.plan(PodRequest()))
        job = session.submit(make_spec(str(template), job_id="one", outputs={"picture": output}), pod_id=pod_id)
        job.wait(_WITHIN_S)
        assert job.state is JobState.DONE
        pod = session.snapshot.pods[pod_id]
        assert pod.state in (PodState.READY, PodState.BUSY)
        assert (pod.kind, pod.price_per_hour_usd) == (MoneyKind.REAL, Decimal("0.25"))
        for end in (session.stop, session.kill):
            with pytest.raises(UsageError, match=r"is refused: .*`disconnect` lets go of it"):
                end(pod_id)
        assert session.disconnect() == pod_id
        deadline = Deadline(clock, _WITHIN_S)
        while not (snapshot := session.snapshot).pods[pod_id].over:
            assert not deadline.passed, snapshot.notices
            session.wait_newer(snapshot.number, 1)
    finally:
        session.close()
    return output
