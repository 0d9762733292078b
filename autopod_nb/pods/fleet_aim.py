"""Which pods there should be, by what a person wants most. Pure.

Everything rests on one question: what is the cheapest way to be done by a given moment? Cheapest asks it without a
moment, a deadline asks it with its own, and fastest looks for the earliest moment that the budget allows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from autopod_nb.pods.fleet_facts import Aim, Fleet
from autopod_nb.pods.fleet_lots import Load, Lot, make_load
from autopod_nb.pods.fleet_pack import Packing, Slot, improve, pack

_MARGIN = 0.05  # new pods are reckoned to be done this much early, for boots and jobs vary; a guess
_IN_TIME = 1.01  # estimates are not so good that this would be late
_A_LITTLE = (0.02, 0.05, 0.1)  # of the time that is left
_DEARER = 4  # to be late by a tenth is better than to pay four tenths more for new pods; a guess
_SLACK = 0.15  # of the time, without a pod that boots: when it is missed, another one boots from the start; a guess
_SPARE = 1.15  # as much more may be paid for being early by that margin: half of all boots are late; a guess
_WORTH = 0.98  # a new pod that is not needed must save this much; a guess
_SOONER = 0.95  # a new pod must bring the end forward this much; a guess
_STEP = 1.03  # how precisely the earliest moment is looked for
_MOST_STEPS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What serves the aim.

    Attributes:
        packing: which work goes where, and what is started.
        keep: the same without any new pod; None if that cannot take all the work.
        late: the deadline cannot be kept.
    """

    packing: Packing
    keep: Packing | None
    late: bool = False


class Chooser:
    """Answers for one moment.

    Args:
        fleet: everything there is.
        lots: the work.
        slots: pods that can be given some.
        offers: what may be started.
        room: how many.
        budget_usd: what all of it may cost.
    """

    def __init__(
        self,
        fleet: Fleet,
        lots: Sequence[Lot],
        slots: Sequence[Slot],
        offers: Sequence[Slot],
        *,
        room: int,
        budget_usd: float,
    ) -> None:
        self._fleet = fleet
        self._lots = lots
        self._slots = slots
        self._offers = offers
        self._room = room if offers else 0
        self._budget_usd = budget_usd

    def choose(self) -> Choice:
        """The best packing for the aim; work that nothing can take is left in it."""
        load = make_load(self._lots)
        blocked = pack(load, self._slots, [self._offers], limit_s=math.inf, room=self._room).left
        if blocked:  # by the number of pods: it must not stand in the way of the rest
            gone = {id(lot) for lot in blocked}
            load = make_load([lot for lot in self._lots if id(lot) not in gone])
        choice = self._served(load)
        packing = choice.packing
        whole = Packing(packing.bins, (*packing.left, *blocked), packing.usd, packing.finish_s)
        return Choice(packing=whole, keep=choice.keep, late=choice.late)

    def _served(self, load: Load) -> Choice:
        aim, limit_s = self._fleet.aim, self._fleet.deadline_left_s
        if aim is Aim.DEADLINE and limit_s is not None:
            return self._before(load, limit_s)
        return self._fastest(load, late=False) if aim is Aim.FASTEST else self._cheapest(load, math.inf)

    def _before(self, load: Load, limit_s: float) -> Choice:
        """By the deadline; or a little late, if to keep it would be much dearer; or as soon as can be."""
        choice = self._by(load, limit_s)
        if choice is not None and not choice.packing.started:
            return choice
        for late in _A_LITTLE:
            almost = pack(load, self._slots, (), limit_s=limit_s * (1 + late), room=0)
            dear = choice is None or choice.packing.usd > almost.usd * (1 + late * _DEARER)
            if not almost.left and almost.usd <= self._budget_usd and dear:
                return Choice(packing=almost, keep=almost, late=True)
        return choice or self._fastest(load, late=True)

    def _by(self, load: Load, limit_s: float) -> Choice | None:
        """The cheapest way to be done by then; None if there is none that the budget allows."""
        choice = self._cheapest(load, limit_s)
        return None if choice.packing.left or choice.packing.usd > self._budget_usd else choice

    def _cheapest(self, load: Load, limit_s: float) -> Choice:
        """With the pods that there are if they do, or almost; else with new ones, and some time to spare."""
        early_s = limit_s * (1 - _MARGIN)
        keep = self._keep(load, early_s, limit_s)
        fits = None if keep.left else keep
        least = self._least_usd(load, limit_s) if self._room else math.inf
        if not self._room or (fits is not None and fits.usd * _WORTH <= least):
            return Choice(packing=keep, keep=fits)
        new = self._new(load, early_s)
        if limit_s < math.inf and (new.left or least * _SPARE < new.usd):
            exact = self._new(load, limit_s * _IN_TIME)
            if new.left or exact.usd * _SPARE < new.usd:
                new = exact
        enough = fits is not None and (new.left or fits.usd * _WORTH <= new.usd)
        return Choice(packing=keep if enough else new, keep=fits)

    def _keep(self, load: Load, early_s: float, limit_s: float) -> Packing:
        """With the pods that there are; one that boots is given up only if there is time enough without it."""
        keep = pack(load, self._slots, (), limit_s=early_s, room=0)
        if keep.left and limit_s > early_s:
            return pack(load, self._slots, (), limit_s=limit_s * _IN_TIME, room=0)
        return improve(load, keep, (), limit_s=limit_s * (1 - _SLACK), room=0)

    def _new(self, load: Load, limit_s: float) -> Packing:
        """With new pods of whatever kind is best for each lot, or of one kind as far as that will do.

        All of these are improved: one in which some work is left may need but one pod of another kind.
        """
        starts = {_kinds(packing): packing for packing in self._packed(load, limit_s)}
        better = (improve(load, each, self._offers, limit_s=limit_s, room=self._room) for each in starts.values())
        return min(better, key=lambda packing: (len(packing.left), packing.usd))

    def _packed(self, load: Load, limit_s: float) -> Iterator[Packing]:
        tiers = [[self._offers], *([[offer], self._offers] for offer in self._offers)]
        return (pack(load, self._slots, tier, limit_s=limit_s, room=self._room) for tier in tiers)

    def _least_usd(self, load: Load, limit_s: float) -> float:
        """It does not get cheaper than this with a new pod.

        All work at the best price, and a boot; or, if there is a moment, with the share of a boot that a second of work
        carries at least on a new pod.
        """
        free = {slot.gpu: math.inf for slot in (*self._slots, *self._offers)}
        shared = dict(free)
        for slot in self._slots:
            free[slot.gpu] = shared[slot.gpu] = min(free[slot.gpu], slot.usd_s * slot.pace)
        for slot in self._offers:
            free[slot.gpu] = min(free[slot.gpu], slot.usd_s)
            if limit_s > slot.start_s:
                share = 1.0 if limit_s == math.inf else limit_s / (limit_s - slot.start_s)
                shared[slot.gpu] = min(shared[slot.gpu], slot.usd_s * share)
        boot = min(slot.open_usd for slot in self._offers)
        return max(_work_usd(load, free) + boot, _work_usd(load, shared))

    def _fastest(self, load: Load, *, late: bool) -> Choice:
        """The earliest moment that the budget allows; pods are started for it if it comes clearly sooner with them."""
        cheapest = self._cheapest(load, math.inf)
        soonest = pack(load, self._slots, (), limit_s=math.inf, room=0, soonest=True)
        keep = soonest if not soonest.left and soonest.usd <= self._budget_usd else cheapest.keep
        if cheapest.packing.usd > self._budget_usd:
            return Choice(packing=cheapest.packing, keep=keep, late=late)
        worst_s = min(each.finish_s for each in (cheapest.packing, keep) if each is not None)
        new = self._earliest(load, worst_s) if self._room and self._can_help(worst_s) else None
        if new is not None and (keep is None or new.finish_s < keep.finish_s * _SOONER):
            return Choice(packing=new, keep=keep, late=late)
        return Choice(packing=cheapest.packing if keep is None else keep, keep=keep, late=late)

    def _can_help(self, finish_s: float) -> bool:
        return any(slot.start_s < finish_s * _SOONER for slot in self._offers)

    def _earliest(self, load: Load, worst_s: float) -> Packing | None:
        """Halve the span in which the earliest moment lies until it is known well enough."""
        low_s, high_s = max(1e-3, self._bound_s(load)), worst_s
        most_usd = self._budget_usd * (1 - _MARGIN)
        best: Packing | None = None
        for _ in range(_MOST_STEPS):
            if high_s <= low_s * _STEP:
                break
            middle_s = math.sqrt(low_s * high_s)
            tried = (each for each in self._packed(load, middle_s) if not each.left and each.usd <= most_usd)
            found = next(tried, None)
            if found is None:
                low_s = middle_s
            else:
                best, high_s = found, min(middle_s, found.finish_s)
        if best is None:
            return None
        return improve(load, best, self._offers, limit_s=high_s * _STEP, room=self._room)

    def _bound_s(self, load: Load) -> float:
        """No lot can be done sooner than this."""
        every = [*self._slots, *self._offers]
        starts = {slot.gpu: math.inf for slot in every}
        for slot in every:
            starts[slot.gpu] = min(starts[slot.gpu], slot.start_s)
        firsts = (
            min(starts[gpu] + seconds for gpu, seconds in lot.seconds.items() if gpu in starts) for lot in load.lots
        )
        return max(firsts, default=0.0)


def _kinds(packing: Packing) -> tuple[object, ...]:
    """The same for packings from which the same can be made."""
    return len(packing.left), frozenset(Counter(each.slot.kind for each in packing.bins if each.lots).items())


def _work_usd(load: Load, usd_s: Mapping[str, float]) -> float:
    """What the work costs where it is cheapest; infinite if some can be done nowhere."""
    return sum(
        min((usd_s[gpu] * seconds for gpu, seconds in lot.seconds.items() if gpu in usd_s), default=math.inf)
        for lot in load.lots
    )
