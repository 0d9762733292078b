"""Pods on this machine, at a simulated price: no account, no money, everything else is real."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from autopod_nb.clock import Clock
from autopod_nb.config import Settings
from autopod_nb.errors import Gone, ProviderError, Uncertain
from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.models.pod import ObservedState, PodRecord
from autopod_nb.models.reconciliation import Stretch
from autopod_nb.providers import local_program
from autopod_nb.providers.base import Account, Capabilities, PodOrder
from autopod_nb.providers.local_folder import PodFolder, read_bill
from autopod_nb.providers.local_offers import local_offers
from autopod_nb.threads import ServiceThread

_LEASE_S = 15.0
_RENEWALS = 5  # a lease
_END_WITHIN_S = 5.0


def _importable(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


class LocalProvider:
    """Starts ``python -m autopod_nb.localpod`` and keeps its lease.

    Args:
        folder: pods live below it, a folder each.
        clock: for bills.
        lease_s: a pod ends when nobody has renewed its lease for this long.
        comfyui_dir: a ComfyUI that the user has: pods run it; None for the built-in engine.
        comfyui_python: the interpreter that runs it; None: that of a virtual environment in it, else ours.
    """

    name = "local"
    capabilities = Capabilities(
        can_stop=True, can_bill=True, fate="A pod on this machine ends 15 seconds after this Python is gone."
    )

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        lease_s: float = _LEASE_S,
        comfyui_dir: Path | None = None,
        comfyui_python: Path | None = None,
    ) -> None:
        self._root = folder.absolute()
        self._clock = clock
        self._lease_s = lease_s
        self._own_comfyui: list[str] = []
        if comfyui_dir is not None:
            self._own_comfyui += ["--comfyui-dir", str(comfyui_dir.expanduser().absolute())]
            if comfyui_python is not None:
                self._own_comfyui += ["--comfyui-python", str(comfyui_python.expanduser().absolute())]
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._leases: set[str] = set()
        self._keeper: ServiceThread | None = None

    def _folder(self, provider_id: str) -> PodFolder:
        return PodFolder(self._root, provider_id)

    def authenticate(self) -> None:
        """Nothing to check but that the pod program's libraries are installed."""
        missing = [name for name in ("asyncssh", "aiohttp", "PIL", "numpy", "av") if not _importable(name)]
        if missing:
            raise ProviderError(
                f"A pod on this machine needs {', '.join(missing)}: run `pip install 'autopod-nb[local]'`."
            )

    def credentials(self) -> str:
        """None are needed."""
        return ""

    def account(self) -> Account:
        """Nobody pays, so there is nothing to say."""
        return Account()

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """The reference GPUs at their simulated prices."""
        return local_offers(self.name, query)

    def create(self, order: PodOrder) -> PodRecord:
        """Make the pod's folder and start its program."""
        folder, offer = self._folder(order.name), order.offer
        try:
            folder.make(
                {
                    "gpu": offer.gpu_type,
                    "gpu_count": offer.gpu_count,
                    "vram_gb": offer.vram_gb,
                    "price_per_hour_usd": str(offer.price_per_hour_usd),
                    "stopped_price_per_hour_usd": str(offer.stopped_price_per_hour_usd),
                    "public_key": order.public_key,
                    "env": dict(order.env),
                }
            )
            self._launch(folder)
        except FileExistsError:
            raise Uncertain(f"A pod with the name {order.name} is there already.") from None
        except (OSError, ValueError) as error:
            self.terminate(order.name)
            raise ProviderError(f"A pod cannot be made in {folder.path}: {error}") from error
        return self.describe(order.name)

    def _launch(self, folder: PodFolder) -> None:
        folder.forget_run()
        self._renew(folder)
        with self._lock:
            process = local_program.start(folder, lease_s=self._lease_s, options=self._own_comfyui)
            self._processes[folder.name] = process
            self._leases.add(folder.name)
            if self._keeper is None:
                self._keeper = ServiceThread("autopod-local-leases", self._keep_leases).start()
        folder.write_pid(process.pid)
        folder.open_stretch(self._clock.now(), Decimal(str(folder.order()["price_per_hour_usd"])))

    def _renew(self, folder: PodFolder) -> None:
        folder.lease.write_text(self._clock.now().isoformat())

    def _keep_leases(self, stop: threading.Event) -> None:
        while not stop.is_set():
            with self._lock:  # under the lock: a pod that is being ended gets no new lease file
                for provider_id in self._leases:
                    folder = self._folder(provider_id)
                    if self._pid_now(folder) is not None and folder.exists:
                        with contextlib.suppress(OSError):  # another process removes the folder just now
                            self._renew(folder)
            stop.wait(self._lease_s / _RENEWALS)

    def describe(self, provider_id: str) -> PodRecord:
        """How the pod's process is."""
        folder = self._folder(provider_id)
        if not folder.ordered:
            raise Gone(f"There is no local pod {provider_id}.")
        address = None
        if self._pid(folder) is None:
            state, detail = ObservedState.STOPPED, "stopped"
            if not folder.was_stopped:
                detail = self._why_ended(folder)
        elif (address := folder.address()) is None:
            state, detail = ObservedState.PENDING, "starting"
        else:
            state, detail = ObservedState.RUNNING, ""
        return PodRecord(provider_id=provider_id, name=provider_id, state=state, address=address, detail=detail)

    def list(self) -> tuple[PodRecord, ...]:
        """Every pod folder."""
        try:
            names = sorted(path.name for path in self._root.iterdir() if (path / "order.json").exists())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ProviderError(f"The folder of local pods cannot be read: {error}.") from error
        records = []
        for name in names:
            with contextlib.suppress(Gone):  # removed since the folder was listed
                records.append(self.describe(name))
        return tuple(records)

    def stop(self, provider_id: str) -> None:
        """End the pod's processes and keep its folder."""
        folder = self._folder(provider_id)
        if not folder.ordered:
            raise Gone(f"There is no local pod {provider_id}.")
        if self._pid(folder) is None and folder.was_stopped:
            return
        with _translated(f"Local pod {provider_id} cannot be stopped"):
            ended_at = self._ended_at(folder)
            folder.mark_stopped()
            self._end(folder)
            at = ended_at or self._clock.now()
            folder.close_stretch(at)
            folder.open_stretch(at, Decimal(str(folder.order()["stopped_price_per_hour_usd"])))

    def start(self, provider_id: str) -> None:
        """Start the program again in the same folder."""
        if self.describe(provider_id).state is not ObservedState.STOPPED:
            return
        folder = self._folder(provider_id)
        with _translated(f"Local pod {provider_id} cannot be started"):
            folder.close_stretch(self._ended_at(folder) or self._clock.now())
            self._launch(folder)

    def terminate(self, provider_id: str) -> None:
        """End the pod's processes and remove its folder."""
        folder = self._folder(provider_id)
        if not folder.exists:
            return
        with _translated(f"Local pod {provider_id} cannot be removed"):
            ended_at = self._ended_at(folder)
            self._end(folder)
            folder.close_stretch(ended_at or self._clock.now())
            folder.remove()

    def _ended_at(self, folder: PodFolder) -> datetime | None:
        """When the pod ended by itself, which was with its lease at the latest; None if it did not."""
        if self._pid(folder) is not None or folder.was_stopped:
            return None
        try:
            renewed = datetime.fromisoformat(folder.lease.read_text())
        except (OSError, ValueError):
            return None
        return min(self._clock.now(), renewed + timedelta(seconds=self._lease_s))

    def _why_ended(self, folder: PodFolder) -> str:
        """Why a pod ended that nobody stopped, as far as can be told."""
        with self._lock:
            process = self._processes.get(folder.name)
        if process is not None and process.returncode is not None and process.returncode < 0:
            return f"its process was killed by {signal.Signals(-process.returncode).name}"
        words = folder.last_words()
        return f"its process ended by itself; its last words: {words}" if words else "its process ended by itself"

    def _end(self, folder: PodFolder) -> None:
        with self._lock:
            self._leases.discard(folder.name)
            process = self._processes.get(folder.name)
        pid = self._pid(folder)
        if pid is not None and not local_program.end(folder, pid, process):
            raise ProviderError(f"Local pod {folder.name} (process {pid}) does not end; use `kill -9 {pid}`.")
        with self._lock:
            self._processes.pop(folder.name, None)

    def _pid(self, folder: PodFolder) -> int | None:
        """The process of the pod, None if it does not run. One that another Python started counts, too."""
        with self._lock:
            return self._pid_now(folder)

    def _pid_now(self, folder: PodFolder) -> int | None:
        """The same for who holds the lock already."""
        process = self._processes.get(folder.name)
        return process.pid if process is not None and process.poll() is None else folder.pid()

    def adopt(self, provider_id: str) -> None:
        """Keep the lease of a pod that another Python started."""
        folder = self._folder(provider_id)
        if self._pid(folder) is None:
            raise Gone(f"Local pod {provider_id} does not run any more.")
        with self._lock:
            self._renew(folder)
            self._leases.add(folder.name)
            if self._keeper is None:
                self._keeper = ServiceThread("autopod-local-leases", self._keep_leases).start()

    def logs(self, provider_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of the pod program's log."""
        folder = self._folder(provider_id)
        return folder.last_lines(lines) if folder.exists else ()

    def billing(self, since: datetime) -> tuple[Stretch, ...]:
        """The runs and the times of storage that are over."""
        with _translated("The bill of local pods cannot be read"):
            rows = [
                Stretch(
                    provider_id=provider_id,
                    start=datetime.fromisoformat(start).astimezone(timezone.utc),
                    end=datetime.fromisoformat(end).astimezone(timezone.utc),
                    amount_usd=Decimal(amount),
                )
                for provider_id, start, end, amount in read_bill(self._root)
            ]
        return tuple(sorted((row for row in rows if row.end >= since), key=lambda row: row.start))

    def close(self) -> None:
        """Stop renewing leases: what still runs ends by itself when they are over."""
        with self._lock:
            keeper, self._keeper = self._keeper, None
            self._leases.clear()
            processes = list(self._processes.items())
        if keeper is not None:
            keeper.stop()
            keeper.join(_END_WITHIN_S)
        for provider_id, process in processes:
            if not self._folder(provider_id).is_pod(process.pid):  # another Python ended it: leave no zombie
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_END_WITHIN_S)


def make(settings: Settings, clock: Clock) -> LocalProvider:
    """The entry point."""
    return LocalProvider(
        settings.home / "pods",
        clock=clock,
        comfyui_dir=settings.comfyui_dir,
        comfyui_python=settings.comfyui_python,
    )


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    """Say in our words what the file system or a spoilt file refuses."""
    try:
        yield
    except (OSError, ValueError, KeyError, ArithmeticError) as error:
        raise ProviderError(f"{what}: {error}") from error
