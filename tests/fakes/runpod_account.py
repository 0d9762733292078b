"""The account: its money, keys, pods and volumes, and what the platform does to them as time goes on. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

from tests.fakes.runpod_facts import NO_BALANCE, NO_FREE_GPU, PLACES, SECURE
from tests.fakes.runpod_market import Market
from tests.fakes.runpod_pod import Intent, Order, Pod
from tests.fakes.runpod_settings import RefusedError, Settings
from tests.fakes.runpod_volume import Volume

_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_ZERO = Decimal(0)
_FIRST_BALANCE = Decimal(100)


def new_id(length: int = 14) -> str:
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(length))


class Account:
    """One account. Every time is service time, and :meth:`settle` comes before anything else is asked or done.

    Args:
        settings: may change at any time.
        now: when it is opened.
        publish: makes a public port for a pod whose port 22 is to be reached, and returns it.
    """

    def __init__(self, settings: Settings, now: float, publish: Callable[[Pod], int]) -> None:
        self.settings = settings
        self.market = Market()
        self.id = f"user_{new_id()}"
        self.api_key = f"rpa_{secrets.token_hex(20)}"
        self.ssh_keys: list[str] = []
        self.pods: dict[str, Pod] = {}
        self.volumes: dict[str, Volume] = {}
        self._publish = publish
        self._credit = _FIRST_BALANCE
        self._settled_at = now

    # money

    def spent(self, now: float) -> Decimal:
        things: Iterable[Pod | Volume] = [*self.pods.values(), *self.volumes.values()]
        return sum((each.meter.usd(now) for each in things), _ZERO)

    def balance(self, now: float) -> Decimal:
        return self._credit - self.spent(now)

    def set_balance(self, usd: Decimal, now: float) -> None:
        self._credit = usd + self.spent(now)

    @property
    def spend_per_hour(self) -> Decimal:
        things: Iterable[Pod | Volume] = [*self.pods.values(), *self.volumes.values()]
        return sum((each.meter.rate_usd for each in things), _ZERO)

    # time

    def settle(self, now: float) -> None:
        """Let everything happen that was due until now, in its order."""
        while (due := self._next_due(now)) is not None:
            at, act = due
            self._settled_at = at
            act(at)
        self._settled_at = max(now, self._settled_at)
        for pod in self.pods.values():
            pod.tell(now)

    def _next_due(self, now: float) -> tuple[float, Callable[[float], None]] | None:
        exits = [(at, pod) for pod in self.pods.values() if (at := pod.exits_at) is not None and at <= now]
        first = min(exits, key=lambda due: due[0], default=None)
        zero_at = self._zero_at(now)
        if zero_at is not None and (first is None or zero_at <= first[0]):
            return zero_at, self._out_of_money
        if first is None:
            return None
        at, pod = first
        return at, lambda moment: self._stop(pod, moment, "Exited by Runpod")

    def _zero_at(self, now: float) -> float | None:
        """When the balance reaches zero while a pod costs something; rates do not change between two settlings."""
        if not any(pod.meter.rate_usd for pod in self.pods.values()):
            return None
        left, rate = self.balance(self._settled_at), self.spend_per_hour
        at = self._settled_at + max(0.0, float(left / rate) * 3600)
        return at if at <= now else None

    def _out_of_money(self, now: float) -> None:
        """4.8: pods with a network volume are stopped; those without are terminated and their data is lost."""
        for pod in self.pods.values():
            if pod.order.volume_id is not None and pod.intent is Intent.RUNNING:
                self._stop(pod, now, "Exited by Runpod")
            elif pod.order.volume_id is None and pod.intent is not Intent.TERMINATED:
                self._end(pod, now, "Terminated by Runpod")

    # pods

    def create(self, order: Order, now: float, *, quirks: Iterable[str] = (), late_s: float = 0.0) -> Pod:
        """Rent a pod; it costs from now on.

        Raises:
            RefusedError: 400 unknown GPU or no capacity, 402 no money, 403 not in that pool (3.2).
        """
        for cloud in order.clouds:
            if cloud in self.settings.forbidden_clouds:
                raise RefusedError(403, f"This account may not use the {cloud} cloud.")
        spot = self.market.place(order)
        pod = Pod(
            id=new_id(),
            number=len(self.pods),
            order=self._with_keys(order),
            gpu_id=spot.gpu_id,
            gpu_usd=spot.gpu_usd,
            cloud=spot.cloud,
            place=spot.place,
            machine=new_id(12),
            created_at=now,
            started_at=now,
            up_after_s=self.settings.pull_delay_s,
            key=f"rpa_pod_{secrets.token_hex(20)}",
            quirks=set(quirks),
            listed_after_s=max(late_s, self.settings.list_lag_s),
            is_real=self.settings.real_pods,
        )
        if "missing" in order.image and self.settings.missing_image == "exit":
            pod.quirks.add("image_exits")
        self._check_money(pod, now)
        self.pods[pod.id] = pod
        self._boot(pod, now)
        return pod

    def add_row(self, order: Order, now: float) -> Pod:
        """A pod for lists: it is up, nothing runs for it, and it costs nothing."""
        pod = Pod(
            id=new_id(),
            number=len(self.pods),
            order=order,
            gpu_id=next(iter(self.market.gpus)),
            gpu_usd=_ZERO,
            cloud=SECURE,
            place=next(iter(PLACES)),
            machine=new_id(12),
            created_at=now,
            started_at=now,
            up_after_s=0.0,
            key=new_id(),
            is_real=False,
        )
        pod.public_port = self._publish(pod)
        self._count(pod, 1)
        self.pods[pod.id] = pod
        return pod

    def _with_keys(self, order: Order) -> Order:
        """3.3: the account's keys go in unless the order brings its own; with none registered nothing happens."""
        if order.start_ssh and self.ssh_keys and "PUBLIC_KEY" not in order.env:
            return replace(order, env={**order.env, "PUBLIC_KEY": "\n".join(self.ssh_keys)})
        return order

    def _check_money(self, pod: Pod, now: float) -> None:
        """4.8: an hour's credit, and no more spend per hour than the limit."""
        if self.balance(now) < pod.compute_usd or self.balance(now) <= 0:
            raise RefusedError(402, NO_BALANCE)
        if self.spend_per_hour + pod.compute_usd > Decimal(str(self.settings.spend_limit_usd)):
            raise RefusedError(402, "This would exceed the spend limit of your account.")  # a guess (7.4)

    def _boot(self, pod: Pod, now: float) -> None:
        pod.intent = Intent.RUNNING
        self._count(pod, 1)
        pod.host_key = None
        pod.bill(now)
        if "22/tcp" in pod.order.ports:
            self.new_port(pod)

    def new_port(self, pod: Pod) -> None:
        """4.3: another port after every start; the first read still shows the old one."""
        pod.old_port, pod.public_port = pod.public_port, self._publish(pod)

    def _count(self, pod: Pod, change: int) -> None:
        if pod.gpu_id is not None:
            self.market.taken[pod.gpu_id, pod.cloud, pod.place] += change * pod.order.gpu_count

    def start(self, pod: Pod, now: float) -> None:
        """Start a stopped pod, on its own machine only (4.7, 4.8).

        Raises:
            RefusedError: no GPU is free there, or there is no money.
        """
        if pod.gpu_id is not None and self.market.free(pod.gpu_id, pod.cloud, pod.place) < pod.order.gpu_count:
            raise RefusedError(400, NO_FREE_GPU)
        self._check_money(pod, now)
        self._reboot(pod, now, "Resumed by User")
        self._boot(pod, now)

    def _reboot(self, pod: Pod, now: float, change: str) -> None:
        pod.boot += 1
        pod.started_at, pod.up_after_s, pod.change = now, self.settings.start_delay_s, change

    def restart(self, pod: Pod, now: float) -> None:
        """Another container in the place of this one (3.3); its disk is wiped.

        Raises:
            RefusedError: it is locked.
        """
        self.check_lock(pod)
        self._count(pod, -1)
        self._reboot(pod, now, "Restarted by User")
        self._boot(pod, now)

    def stop(self, pod: Pod, now: float) -> None:
        """Stop it. One that is stopped stays so.

        Raises:
            RefusedError: it is locked (4.8).
        """
        self.check_lock(pod)
        if pod.intent is Intent.RUNNING:
            self._stop(pod, now, "Exited by user")

    @staticmethod
    def check_lock(pod: Pod) -> None:
        """4.8: a locked pod refuses to be stopped or reset.

        Raises:
            RefusedError: it is locked.
        """
        if pod.locked:
            raise RefusedError(409, "The pod is locked and cannot be stopped or reset.")

    def _stop(self, pod: Pod, now: float, change: str) -> None:
        pod.intent, pod.ended_at, pod.change = Intent.EXITED, now, change
        self._count(pod, -1)
        pod.bill(now)
        pod.log.add(now, "system", "stop container: done")

    def evict(self, pod: Pod, now: float) -> None:
        """7.2: somebody has bid more."""
        if pod.intent is Intent.RUNNING:
            self._stop(pod, now, f"Outbid: {now:.0f}")

    def terminate(self, pod: Pod, now: float, change: str = "Terminated by user") -> None:
        self._end(pod, now, change)

    def _end(self, pod: Pod, now: float, change: str) -> None:
        if pod.intent is Intent.RUNNING:
            self._count(pod, -1)
        pod.intent, pod.ended_at, pod.change = Intent.TERMINATED, now, change
        pod.bill(now)

    # volumes

    def create_volume(self, name: str, size_gb: int, place: str, kind: str, now: float) -> Volume:
        volume = Volume(id=new_id(10), name=name, size_gb=size_gb, place=place, kind=kind)
        self.volumes[volume.id] = volume
        volume.bill(now)
        return volume

    def resize_volume(self, volume: Volume, size_gb: int, now: float) -> None:
        """4.9: it only grows.

        Raises:
            RefusedError: it would shrink.
        """
        if size_gb < volume.size_gb:
            raise RefusedError(400, "The size of a network volume can only be increased.")
        volume.size_gb = size_gb
        volume.bill(now)

    def delete_volume(self, volume: Volume, now: float) -> None:
        volume.is_deleted = True
        volume.bill(now)

    def volume(self, volume_id: str) -> Volume | None:
        found = self.volumes.get(volume_id)
        return None if found is None or found.is_deleted else found

    # what is to be seen

    def is_shown(self, pod: Pod, now: float) -> bool:
        """Whether it can be read by its id: a terminated one for a while at most (4.7)."""
        return pod.intent is not Intent.TERMINATED or now < (pod.ended_at or 0) + self.settings.terminated_shown_s

    def find(self, pod_id: str, now: float) -> Pod | None:
        pod = self.pods.get(pod_id)
        return pod if pod is not None and self.is_shown(pod, now) else None

    def listed(self, now: float) -> list[Pod]:
        """What a list shows, newest first (3.2); a new pod may not be in it yet (4.7)."""
        found = [
            pod for pod in self.pods.values() if self.is_shown(pod, now) and now >= pod.created_at + pod.listed_after_s
        ]
        return sorted(found, key=lambda pod: -pod.number)
