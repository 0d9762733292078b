"""Which pod does which work, as long as all of it is to be done by a given moment. Pure.

Jobs are packed as into bins: a pod holds as much as it can do until then, a new one costs its boot. The largest come
first; each goes where it costs least, and among places that cost about the same to the one that has it done first.
What comes out is then tried with one pod less, more, or of another kind, which is where most of the money is.

Money is float dollars in here, for comparing only; what is decided is summed up in Decimal by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import islice

from autopod_nb.pods.fleet_facts import FleetOffer, FleetPod
from autopod_nb.pods.fleet_lots import Load, Lot

_SAME = 1.05  # costs that are no farther apart count as equal, for estimates are no better; a guess
_WORTH = 0.98  # a new pod must save this much; a guess
_TRIES = 1200  # lots packed again while it is improved: a few milliseconds
_LEAST_TRIES = 8
_PACE_STEP = 0.05


@dataclass(frozen=True, slots=True)
class Slot:
    """A pod, or what would be one.

    Attributes:
        source: the pod, or the offer.
        gpu: its GPU.
        usd_s: price a second.
        pace: seconds on it for each expected one.
        start_s: when it can begin.
        models: keys of what is loaded, and of nothing.
        fresh: it has no job, so that the first upload is waited for.
        open_usd: cost until it can begin, as far as that is saved by doing without it.
    """

    source: FleetPod | FleetOffer
    gpu: str
    usd_s: float
    pace: float
    start_s: float
    models: frozenset[str]
    fresh: bool
    open_usd: float

    @property
    def kind(self) -> tuple[str, float, float, float, float, frozenset[str]]:
        """The same for slots that are as good as each other."""
        return self.gpu, self.usd_s, self.pace, self.start_s, self.open_usd, self.models


def pod_slot(pod: FleetPod) -> Slot:
    """A pod that is there; the rest of its boot is saved when it is not needed."""
    usd_s, boots = float(pod.price_per_hour_usd) / 3600, pod.ready_in_s if pod.given == 0 else 0.0
    return Slot(
        source=pod,
        gpu=pod.gpu,
        usd_s=usd_s,
        pace=max(_PACE_STEP, round(pod.pace / _PACE_STEP) * _PACE_STEP),
        start_s=pod.ready_in_s + pod.work_left_s,
        models=frozenset(("", pod.model)),
        fresh=pod.given == 0,
        open_usd=usd_s * boots,
    )


def offer_slot(offer: FleetOffer) -> Slot:
    """A pod that could be started."""
    usd_s = float(offer.price_per_hour_usd) / 3600
    return Slot(
        source=offer,
        gpu=offer.gpu,
        usd_s=usd_s,
        pace=1.0,
        start_s=offer.boot_s,
        models=frozenset(("",)),
        fresh=True,
        open_usd=usd_s * offer.boot_s,
    )


@dataclass(slots=True)
class Bin:
    """A slot with what was put into it."""

    slot: Slot
    end_s: float
    models: frozenset[str]
    lots: list[Lot] = field(default_factory=list)
    tail_s: float = 0.0  # until the last result is here

    @property
    def usd(self) -> float:
        """What it costs from now on, without work that it had before; nothing if it got none."""
        if not self.lots:
            return 0.0
        return self.slot.open_usd + (self.end_s - self.slot.start_s + self.tail_s) * self.slot.usd_s

    @property
    def finish_s(self) -> float:
        """When everything of it is here."""
        return self.end_s + self.tail_s


@dataclass(frozen=True, slots=True)
class Packing:
    """Work in pods.

    Attributes:
        bins: every slot that was there or was opened.
        left: lots that nothing could take.
        usd: cost of all that is in it.
        finish_s: when all of it is here.
    """

    bins: tuple[Bin, ...]
    left: tuple[Lot, ...]
    usd: float
    finish_s: float

    @property
    def started(self) -> list[Bin]:
        """Those that would have to be started."""
        return [each for each in self.bins if each.lots and isinstance(each.slot.source, FleetOffer)]


_Signature = tuple[str, float, float, frozenset[str], bool]


class _Bins:
    """Open bins, the ones that are as good as each other together, by the moment at which they are free."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.all: list[Bin] = []
        self.groups: dict[_Signature, list[tuple[float, int, Bin]]] = {}
        for slot in slots:
            self.open(slot)

    def open(self, slot: Slot) -> _Signature:
        """Add an empty one."""
        self.all.append(Bin(slot, slot.start_s, slot.models))
        return self._file(self.all[-1], len(self.all) - 1)

    def _file(self, bin_: Bin, number: int) -> _Signature:
        slot = bin_.slot
        signature = slot.gpu, slot.usd_s, slot.pace, bin_.models, slot.fresh and not bin_.lots
        heappush(self.groups.setdefault(signature, []), (bin_.end_s, number, bin_))
        return signature

    def put(self, lot: Lot, signature: _Signature) -> None:
        """Into the first of them that is free."""
        heap = self.groups[signature]
        _, number, bin_ = heappop(heap)
        if not heap:
            del self.groups[signature]
        gpu, _, pace, models, fresh = signature
        bin_.end_s += lot.seconds[gpu] * pace + (lot.upload_s if fresh else 0.0)
        if lot.model not in models:
            bin_.end_s += lot.load_s
            bin_.models = models | {lot.model}
        bin_.lots.append(lot)
        bin_.tail_s = max(bin_.tail_s, lot.download_s)
        self._file(bin_, number)

    def choose(
        self, lot: Lot, alike: Mapping[str, float], limit_s: float, *, soonest: bool
    ) -> tuple[float, _Signature] | None:
        """Where *lot* costs least, and what; None if it is done nowhere in time.

        A model that is not loaded yet counts with the share that the lot has in what could be done with it there.
        """
        found = []
        least, limit_s = math.inf, limit_s - lot.download_s
        for signature, heap in self.groups.items():
            gpu, usd_s, pace, models, fresh = signature
            seconds = lot.seconds.get(gpu)
            if seconds is None:
                continue
            seconds *= pace
            before_s = (0.0 if lot.model in models else lot.load_s) + (lot.upload_s if fresh else 0.0)
            space_s = limit_s - heap[0][0] - before_s
            if seconds > space_s:
                continue
            usd = usd_s * seconds
            if before_s:
                space_s = min(space_s, alike[gpu] * pace)
                usd += usd_s * before_s * (seconds / space_s if space_s > seconds else 1.0)
            found.append((heap[0][0] + before_s + seconds, usd, signature))
            least = min(least, usd)
        if not found:
            return None
        near = math.inf if soonest else least * _SAME
        _, usd, signature = min(each for each in found if each[1] <= near)
        return usd, signature


def pack(
    load: Load,
    slots: Sequence[Slot],
    offers: Sequence[Sequence[Slot]],
    *,
    limit_s: float,
    room: int,
    soonest: bool = False,
) -> Packing:
    """Put every lot somewhere.

    Args:
        load: what there is to do.
        slots: pods that are there, or that are taken for granted.
        offers: what may be opened besides; of the first ones, if that will do for a lot, else of the next.
        limit_s: seconds until everything is to be here.
        room: as many may be opened.
        soonest: each lot to where it is done first, whatever it costs.

    Returns:
        Where everything is; what cannot be done in time is left.
    """
    bins, left = _Bins(slots), []
    for lot, rest, alike in zip(load.lots, load.rest, load.alike, strict=True):
        chosen = bins.choose(lot, alike, limit_s, soonest=soonest)
        if room > 0:
            tiers = (_cheapest_new(lot, rest, tier, limit_s) for tier in offers)
            new = next((found for found in tiers if found is not None), None)
            if new is not None and (chosen is None or new[0] < chosen[0] * _WORTH):
                chosen = new[0], bins.open(new[1])
                room -= 1
        if chosen is None:
            left.append(lot)
        else:
            bins.put(lot, chosen[1])
    used = [each for each in bins.all if each.lots or each.slot.start_s == 0 or not each.slot.fresh]
    finish_s = max((each.finish_s for each in used), default=0.0)
    return Packing(tuple(bins.all), tuple(left), sum(each.usd for each in bins.all), finish_s)


def _cheapest_new(
    lot: Lot, rest: Mapping[str, float], offers: Sequence[Slot], limit_s: float
) -> tuple[float, Slot] | None:
    """What *lot* costs on a new pod with its share of the boot, as if the pod had work for as long as there may be."""
    best: tuple[float, Slot] | None = None
    for slot in offers:
        seconds = lot.seconds.get(slot.gpu)
        if seconds is None:
            continue
        first_s = lot.load_s + lot.upload_s
        space_s = limit_s - slot.start_s - first_s - lot.download_s
        if seconds <= space_s:
            share = min(1.0, seconds / max(1e-9, min(space_s, rest[slot.gpu])))
            usd = slot.usd_s * seconds + (slot.open_usd + slot.usd_s * first_s) * share
            if best is None or usd < best[0]:
                best = usd, slot
    return best


def improve(load: Load, packing: Packing, offers: Sequence[Slot], *, limit_s: float, room: int) -> Packing:
    """Try it with one pod less, more, or of another kind, as long as that makes it cheaper.

    Args:
        load: what there is to do.
        packing: as it is.
        offers: what may be opened.
        limit_s: seconds until everything is to be here.
        room: as many may be opened in all.
    """
    tries = max(_LEAST_TRIES, _TRIES // max(1, len(load.lots)))
    best, better = packing, True
    while better and tries > 0:
        better = False
        slots = [each.slot for each in best.bins if each.lots or not each.slot.open_usd]
        for variant in islice(_variants(slots, offers, room), tries):
            tries -= 1
            tried = pack(load, variant, (), limit_s=limit_s, room=0)
            if (len(tried.left), tried.usd) < (len(best.left), best.usd * (1 - 1e-9)):
                best, better = tried, True
    return best


def _variants(slots: Sequence[Slot], offers: Sequence[Slot], room: int) -> Iterator[list[Slot]]:
    """The same pods with one less, one of another kind, or one more; a pod that is ready stays."""
    new = sum(1 for slot in slots if isinstance(slot.source, FleetOffer))
    seen = set()
    for place, slot in enumerate(slots):
        if not slot.open_usd or slot.kind in seen:
            continue
        seen.add(slot.kind)
        others = [*slots[:place], *slots[place + 1 :]]
        yield others
        if isinstance(slot.source, FleetOffer) or new < room:
            yield from ([*others, offer] for offer in offers if offer.kind != slot.kind)
    if new < room:
        yield from ([*slots, offer] for offer in offers)
