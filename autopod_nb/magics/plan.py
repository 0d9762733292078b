"""What a dry run says: which pod, at which price, which files go where, within which limits. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from autopod_nb.models.job import JobSpec
from autopod_nb.models.offer import Offer
from autopod_nb.models.snapshot import PodView
from autopod_nb.widgets import render, words

if TYPE_CHECKING:
    from autopod_nb.session.commands import PodPlan

NOTHING_MADE = "Dry run: nothing was made, uploaded or charged."


def pod_lines(plan: PodPlan, *, for_jobs: bool = False) -> list[str]:
    """The pods that would be rented, for *for_jobs* only or to stay."""
    offer, count = plan.offer, plan.request.pods
    where = f" ({words.clean(offer.where)})" if offer.where else ""
    end = "when its jobs are done" if for_jobs else f"after {_plain(plan.idle_minutes)} minutes without work"
    limit = "no limit" if plan.session_limit_usd is None else f"${plan.session_limit_usd:.2f}"
    price = words.price(offer.price_per_hour_usd, offer.kind)
    what, it = ("Pod", "It ends") if count == 1 else (f"{count} pods", "Each ends")
    lines = [
        f"{what} to rent: {offer.label} with {offer.vram_gb} GB each, from {offer.provider}{where}, {price}",
        *_shape_lines(offer),
        f"{it} {end}. Limit of the session: {limit}.",
    ]
    if count > 1:
        lines.append(f"Together they cost {words.price(plan.price_per_hour_usd, offer.kind)}.")
    if plan.needs_yes:
        lines.append("It is so dear that it wants --yes.")
    if plan.fallbacks:
        lines.append(f"If that is not to be had: {_next(plan.fallbacks)}.")
    return [*lines, *(f"Note: {note}" for note in plan.notes)]


def _shape_lines(offer: Offer) -> list[str]:
    """Disks and image, as far as they were settled."""
    shape = offer.shape
    volume = f"its own volume of {shape.volume_gb} GB" if shape.volume_gb else ""
    parts = (
        f"container disk of {shape.disk_gb} GB" if shape.disk_gb else "",
        f"network volume {words.clean(shape.network_volume)}" if shape.network_volume else volume,
        f"image {words.clean(shape.image)}" if shape.image else "",
        f"pod template {words.clean(shape.template)}" if shape.template else "",
        f"CUDA {words.clean(offer.cuda)} or newer" if offer.cuda else "",
    )
    said = ", ".join(part for part in parts if part)
    return [f"With {said}."] if said else []


def _next(offers: Sequence[Offer]) -> str:
    """What is tried next, in order."""
    tried = []
    for offer in offers:
        where = f" ({words.clean(offer.where)})" if offer.where else ""
        tried.append(f"{words.clean(offer.label)}{where} at {words.price(offer.price_per_hour_usd, offer.kind)}")
    return ", then ".join(tried)


def job_lines(spec: JobSpec, where: PodView | None) -> list[str]:
    """One job: its files with their sizes, its values, where the results will lie, its limits.

    Args:
        spec: the job, already checked.
        where: the pod that is there for it, None if one would be rented.
    """
    lines = [f"Job {spec.job_id} with template {spec.workflow_template}"]
    if where is not None:
        lines.append(f"  on pod {render.pod_line(where)}")
    lines += [f"  upload {name}: {words.place(path)} ({_size(path)})" for name, path in spec.inputs.items()]
    lines += [f"  param {name}: {value!r}" for name, value in spec.params.items()]
    lines += [f"  result {name}: {words.place(path)}" for name, path in _outputs(spec).items()]
    return [*lines, f"  limits: {_limits(spec)}"]


def _outputs(spec: JobSpec) -> Mapping[str, Path]:
    return spec.outputs or {"(all)": Path("outputs") / spec.job_id}


def _size(path: Path) -> str:
    try:
        return words.size(path.stat().st_size)
    except OSError:  # it was there when the job was checked
        return "size unknown"


def _limits(spec: JobSpec) -> str:
    config = spec.pod_config
    cost = "no limit of its own" if config.max_cost_usd is None else f"${config.max_cost_usd:.2f}"
    if config.timeout_minutes is None:
        return cost
    return f"{cost}, {_plain(config.timeout_minutes)} minutes"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
