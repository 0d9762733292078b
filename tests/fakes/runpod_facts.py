"""What the made-up RunPod has on offer: GPUs, places, templates, rates. Numbers in brackets are sections of the facts.

Ids, memory sizes and storage rates are those of the facts. GPU prices are not in them and are made up, with the zeros
that mean "not offered" (3.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

HOURS_A_MONTH = Decimal(730)  # 4.8
DISK_GB_MONTH_USD = Decimal("0.10")  # 4.8: container disk, and the volume disk of a pod that runs
STOPPED_GB_MONTH_USD = Decimal("0.20")  # 4.8: volume disk of a stopped pod
VOLUME_GB_MONTH_USD = (Decimal("0.07"), Decimal("0.05"))  # 4.8: network volume, the first 1 TB and what is above
FIRST_TB_GB = 1000
CPU_PER_VCPU_USD = Decimal("0.04")  # made up
CUDA_VERSIONS = ("12.6", "12.8", "13.0")
SECURE, COMMUNITY = "SECURE", "COMMUNITY"

NO_CAPACITY = "There are no longer any instances available with the requested specifications. Please refresh and retry."
NO_SPOT = "There are no longer any instances available with the request specifications. Please try again later."
NO_DISK = "There are no longer any instances available with enough disk space."
NO_CAPACITY_V2 = "There are no instances currently available that match the request; the pod could not be placed."
NO_MACHINE = "This machine does not have the resources to deploy your pod. Please try a different machine."
NO_FREE_GPU = "There are not enough free GPUs on the host machine to start this pod."
OPAQUE = "Something went wrong. Please try again later or contact support."
NO_BALANCE = "Insufficient balance to deploy this pod."  # 4.7: REST says so with 402; the wording of GraphQL is a guess


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU type (3.4, 4.1). Prices are USD per GPU and hour, 0 where a cloud does not offer it."""

    id: str
    name: str
    memory_gb: int
    secure: Decimal
    community: Decimal
    pool: str | None = None
    max_count: int = 8

    def price(self, cloud: str) -> Decimal:
        return self.secure if cloud == SECURE else self.community

    @property
    def spot(self) -> Decimal:
        """What a spot pod costs at least; made up: half of the cheaper price."""
        return min(p for p in (self.secure, self.community) if p) / 2


def _gpu(gpu_id: str, memory_gb: int, secure: str, community: str, pool: str | None = None) -> Gpu:
    name = gpu_id.removeprefix("NVIDIA ").removeprefix("GeForce ")
    return Gpu(gpu_id, name, memory_gb, Decimal(secure), Decimal(community), pool)


GPUS = {
    gpu.id: gpu
    for gpu in (
        _gpu("NVIDIA A40", 48, "0.40", "0", "AMPERE_48"),
        _gpu("NVIDIA RTX A6000", 48, "0.49", "0.33", "AMPERE_48"),
        _gpu("NVIDIA RTX A5000", 24, "0.27", "0.16", "AMPERE_24"),
        _gpu("NVIDIA RTX A4500", 20, "0.25", "0.19", "AMPERE_16"),
        _gpu("NVIDIA RTX A4000", 16, "0.25", "0.17", "AMPERE_16"),
        _gpu("NVIDIA L4", 24, "0.39", "0", "AMPERE_24"),
        _gpu("NVIDIA L40", 48, "0.99", "0.69", "ADA_48_PRO"),
        _gpu("NVIDIA L40S", 48, "0.86", "0.79", "ADA_48_PRO"),
        _gpu("NVIDIA GeForce RTX 3090", 24, "0.46", "0.22", "AMPERE_24"),
        _gpu("NVIDIA GeForce RTX 3090 Ti", 24, "0", "0.27"),
        _gpu("NVIDIA GeForce RTX 4080", 16, "0", "0.27"),
        _gpu("NVIDIA GeForce RTX 4080 SUPER", 16, "0", "0.28"),
        _gpu("NVIDIA GeForce RTX 4090", 24, "0.69", "0.34", "ADA_24"),
        _gpu("NVIDIA GeForce RTX 5080", 16, "0", "0.39"),
        _gpu("NVIDIA GeForce RTX 5090", 32, "0.94", "0.69", "ADA_32_PRO"),
        _gpu("NVIDIA RTX 2000 Ada Generation", 16, "0.24", "0"),
        _gpu("NVIDIA RTX 4000 Ada Generation", 20, "0.26", "0.20"),
        _gpu("NVIDIA RTX 5000 Ada Generation", 32, "0", "0.49"),
        _gpu("NVIDIA RTX 6000 Ada Generation", 48, "0.77", "0.74", "ADA_48_PRO"),
        _gpu("NVIDIA RTX PRO 6000 Blackwell Server Edition", 96, "1.79", "1.69"),
        _gpu("NVIDIA A100 80GB PCIe", 80, "1.39", "1.19", "AMPERE_80"),
        _gpu("NVIDIA A100-SXM4-80GB", 80, "1.49", "1.39", "AMPERE_80"),
        _gpu("NVIDIA H100 PCIe", 80, "2.39", "1.99", "ADA_80_PRO"),
        _gpu("NVIDIA H100 80GB HBM3", 80, "2.69", "2.69", "ADA_80_PRO"),
        _gpu("NVIDIA H200", 141, "3.59", "0", "HOPPER_141"),
        _gpu("NVIDIA B200", 180, "5.19", "0"),
    )
}

_PLACES = (  # 4.2
    "EU-RO-1 EU-CZ-1 EU-SE-1 EU-NL-1 EU-FR-1 EUR-IS-1 EUR-IS-2 EUR-IS-3 EUR-NO-1 US-TX-1 US-TX-3 US-TX-4 US-KS-2 "
    "US-KS-3 US-GA-1 US-GA-2 US-WA-1 US-CA-2 US-NC-1 US-NC-2 US-IL-1 US-DE-1 US-MD-1 US-MO-1 US-MO-2 US-NE-1 CA-MTL-1 "
    "CA-MTL-2 CA-MTL-3 AP-JP-1 OC-AU-1"
)
_WITH_VOLUMES = frozenset(  # 4.9
    [
        "EU-CZ-1",
        "EU-RO-1",
        "EUR-IS-1",
        "EUR-NO-1",
        "US-CA-2",
        "US-GA-2",
        "US-IL-1",
        "US-KS-2",
        "US-MD-1",
        "US-MO-1",
        "US-MO-2",
        "US-NC-1",
        "US-NC-2",
        "US-NE-1",
        "US-WA-1",
    ]
)
_REGIONS = {
    "EU": "EUROPE",
    "EUR": "EUROPE",
    "US": "NORTH_AMERICA",
    "CA": "NORTH_AMERICA",
    "AP": "ASIA",
    "OC": "OCEANIA",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A data centre (3.4, 4.2)."""

    id: str

    @property
    def region(self) -> str:
        return _REGIONS[self.id.split("-")[0]]

    @property
    def country(self) -> str:
        """Its country code: the first part of the id, or the second after EU, EUR, AP, OC (4.2)."""
        first, second, *_ = self.id.split("-")
        return second if first in ("EU", "EUR", "AP", "OC") else first

    @property
    def volume_types(self) -> tuple[str, ...]:
        """Empty: no network volumes there (3.4)."""
        return ("STANDARD",) if self.id in _WITH_VOLUMES else ()


PLACES = {place_id: Place(place_id) for place_id in _PLACES.split()}


@dataclass(frozen=True, slots=True)
class Template:
    """A pod template: what an order gets that says nothing else."""

    id: str
    image: str
    ports: tuple[str, ...]
    disk_gb: int = 50


_COMFYUI_PORTS = ("8188/http", "8080/http", "8888/http", "22/tcp")  # 4.10
TEMPLATES = {
    template.id: template
    for template in (
        Template("cw3nka7d08", "runpod/comfyui:cuda12.8", _COMFYUI_PORTS),  # 4.10
        Template("2lv7ev3wfp", "runpod/comfyui:latest-5090", _COMFYUI_PORTS),  # 4.10
        Template("runpod-ubuntu", "runpod/base:ubuntu", ("22/tcp",), 10),  # 1.4: what a CPU pod gets by default
    )
}


def has_comfyui(image: str) -> bool:
    """Whether a container of this image runs ComfyUI (4.10)."""
    return image.startswith("runpod/comfyui")


def gb_hour_usd(gb_month_usd: Decimal, size_gb: int) -> Decimal:
    """What a disk costs an hour (4.8: GB × rate ÷ 730 h)."""
    return gb_month_usd * size_gb / HOURS_A_MONTH


def volume_hour_usd(size_gb: int) -> Decimal:
    """What a network volume costs an hour (4.8)."""
    first, above = VOLUME_GB_MONTH_USD
    return gb_hour_usd(first, min(size_gb, FIRST_TB_GB)) + gb_hour_usd(above, max(0, size_gb - FIRST_TB_GB))
