"""A rented pod as the platform knows it: what was ordered, what it is meant to do, and what of it can be seen when."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from tests.fakes.runpod_bill import Meter, Rate
from tests.fakes.runpod_facts import (
    COMMUNITY,
    CPU_PER_VCPU_USD,
    DISK_GB_MONTH_USD,
    STOPPED_GB_MONTH_USD,
    gb_hour_usd,
    has_comfyui,
)
from tests.fakes.runpod_log import PodLog

_FETCH_LINE_EVERY_S = 5.0


class Intent(str, Enum):
    """What a pod is meant to do (2.3: desiredStatus)."""

    RUNNING = "RUNNING"
    EXITED = "EXITED"
    TERMINATED = "TERMINATED"


ACTIONS = {  # 3.3
    "RUNNING": ("stop", "restart", "terminate"),
    "EXITED": ("start", "terminate"),
    "ERROR": ("start", "terminate"),
    "PROVISIONING": ("stop", "terminate"),
    "STARTING": ("stop", "terminate"),
    "TERMINATED": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody asks for, by whichever API. Lists of choices are in the order of preference."""

    name: str
    image: str
    template_id: str | None = None
    gpu_ids: tuple[str, ...] = ()
    gpu_count: int = 0
    cuda_versions: tuple[str, ...] | None = None
    cpu_id: str | None = None
    vcpus: int = 0
    clouds: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    disk_gb: int = 50
    persistent_gb: int = 0
    mount_path: str | None = None
    volume_id: str | None = None
    ports: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    args: str = ""
    registry: str | None = None
    start_ssh: bool = False
    public_ip: bool = True
    bid_per_gpu: Decimal | None = None
    global_networking: bool = False


@dataclass(slots=True, kw_only=True)
class Pod:
    """One pod. Times are seconds of service time since 1970.

    Attributes:
        number: how many pods were made before it.
        gpu_usd: price of one GPU an hour, as it was at the rental.
        boot: counts its starts; a container of an earlier one is another container.
        up_after_s: from the start until the container is up.
        change: ``lastStatusChange``, free text (2.3).
        key: the key that is injected into it (4.5).
        public_port: where port 22 is reached from outside, None while nothing is mapped.
        old_port: is reported once after a start instead (4.3).
        quirks: names of faults that it was born with.
        host_key: fingerprint of its SSH server, None until that is known.
        is_real: a program runs for it.
    """

    id: str
    number: int
    order: Order
    gpu_id: str | None
    gpu_usd: Decimal
    cloud: str
    place: str
    machine: str
    created_at: float
    started_at: float
    up_after_s: float
    key: str
    intent: Intent = Intent.RUNNING
    boot: int = 1
    ended_at: float | None = None
    change: str = "Rented by User"
    public_port: int | None = None
    old_port: int | None = None
    locked: bool = False
    quirks: set[str] = field(default_factory=set)
    listed_after_s: float = 0.0
    host_key: str | None = None
    is_real: bool = True
    meter: Meter = field(default_factory=Meter)
    log: PodLog = field(default_factory=PodLog)
    _fetch_logged: float = 0.0
    _is_logged_up: int = 0
    _is_key_logged: int = 0

    @property
    def compute_usd(self) -> Decimal:
        """What its GPUs or CPUs cost an hour (4.8: without disks)."""
        if self.gpu_id is None:
            return CPU_PER_VCPU_USD * self.order.vcpus
        if self.order.bid_per_gpu is not None:
            return self.order.bid_per_gpu * self.order.gpu_count  # SKY #9000 in 2.2: the bid is for one GPU
        return self.gpu_usd * self.order.gpu_count

    def bill(self, now: float) -> None:
        """Let it cost from now on what its intent says (4.8): boot included, stopped disks dearer."""
        order = self.order
        if self.intent is Intent.RUNNING:
            disk = gb_hour_usd(DISK_GB_MONTH_USD, order.disk_gb + order.persistent_gb)
            compute = {"cpu" if self.gpu_id is None else "gpu": self.compute_usd}
            self.meter.turn(now, Rate(disk=disk, **compute), "running")
        elif self.intent is Intent.EXITED and order.persistent_gb:
            self.meter.turn(now, Rate(disk=gb_hour_usd(STOPPED_GB_MONTH_USD, order.persistent_gb)), "stopped")
        else:
            self.meter.turn(now, None)

    @property
    def is_image_bad(self) -> bool:
        return "missing" in self.order.image or not self.quirks.isdisjoint({"image_hangs", "image_exits"})

    @property
    def exits_at(self) -> float | None:
        """When the platform stops it because its image cannot be had, without a reason (4.7)."""
        if self.intent is Intent.RUNNING and "image_exits" in self.quirks:
            return self.started_at + self.up_after_s
        return None

    def is_up(self, now: float) -> bool:
        """Whether its container runs."""
        return (
            self.intent is Intent.RUNNING
            and now >= self.started_at + self.up_after_s
            and "never_boots" not in self.quirks
            and not self.is_image_bad
        )

    def status(self, now: float, provision_s: float) -> str:
        """Its status in v2 (3.3)."""
        if self.intent is not Intent.RUNNING:
            return str(self.intent.value)
        if self.is_up(now) or "running_without_runtime" in self.quirks:
            return "RUNNING"
        return "PROVISIONING" if now < self.started_at + min(provision_s, self.up_after_s) else "STARTING"

    @property
    def has_public_ip(self) -> bool:
        """4.2: always in the secure cloud, elsewhere when it was asked for."""
        return self.cloud != COMMUNITY or self.order.public_ip

    @property
    def is_ssh_mapped(self) -> bool:
        return "22/tcp" in self.order.ports and self.has_public_ip and "ports_never" not in self.quirks

    def tell(self, now: float) -> None:
        """Write what has happened by now into its log (4.4, 4.7)."""
        if self.intent is not Intent.RUNNING:
            return
        self._tell_of_pull(now)
        if not self.is_up(now):
            return
        if self._is_logged_up < self.boot:
            self._is_logged_up = self.boot
            self.log.add(self.started_at + self.up_after_s, "system", "create container: done")
            self.log.add(self.started_at + self.up_after_s, "system", "start container: done")
        if self.host_key is not None and self._is_key_logged < self.boot:
            self._is_key_logged = self.boot
            self._tell_of_boot(now, self.host_key)

    def _tell_of_pull(self, now: float) -> None:
        until = now if not self.is_up(now) else min(now, self.started_at + self.up_after_s)
        at = max(self.started_at, self._fetch_logged + _FETCH_LINE_EVERY_S)
        while at <= until:
            self.log.add(at, "system", f"still fetching image {self.order.image}")
            if self.is_image_bad:
                self.log.add(at, "system", f"failed to pull image {self.order.image}: manifest unknown: not found")
            self._fetch_logged, at = at, at + _FETCH_LINE_EVERY_S

    def _tell_of_boot(self, now: float, host_key: str) -> None:
        self.log.add(now, "container", "Generating SSH host keys")
        self.log.add(now, "container", f"256 {host_key} root@{self.id[:12]} (ED25519)")
        self.log.add(now, "container", "Starting SSH service")
        if has_comfyui(self.order.image):
            self.log.add(now, "container", "[ComfyUI-Manager] All startup tasks have been completed.")  # 4.10
