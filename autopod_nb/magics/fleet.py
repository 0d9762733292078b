"""From options to a wish for a fleet, and what a dry run says of it."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from typing import TYPE_CHECKING

from autopod_nb.errors import UsageError
from autopod_nb.models.money import show_usd
from autopod_nb.widgets import words

if TYPE_CHECKING:
    from autopod_nb.pods.fleet_facts import Decisions
    from autopod_nb.session.fleet_state import FleetPlan, FleetRequest


def fleet_request(args: Namespace) -> FleetRequest | None:
    """What the options say; None if they say nothing of a fleet.

    Raises:
        UsageError: options that do not go together.
    """
    from autopod_nb.pods.fleet_facts import Aim
    from autopod_nb.session.fleet_state import FleetRequest

    if args.max_pods is None and not args.auto:
        for given, option in ((args.fastest, "--fastest"), (args.budget, "--budget"), (args.within, "--within")):
            if given:
                raise UsageError(f"{option} is for a fleet: say --max-pods N or --auto, too.")
        return None
    if args.max_pods is not None and args.auto:
        raise UsageError("--max-pods and --auto are both given: say how many, or leave it to --auto.")
    if args.fastest and args.within is not None:
        raise UsageError("--fastest and --within are both given: one is as soon as can be, the other by a deadline.")
    if args.fastest and args.budget is None:
        raise UsageError("--fastest needs a --budget: say what it may cost.")
    aim = Aim.FASTEST if args.fastest else Aim.DEADLINE if args.within is not None else Aim.CHEAPEST
    return FleetRequest(
        max_pods=args.max_pods, aim=aim, budget_usd=args.budget, within_minutes=args.within, yes=args.yes
    )


def forecast_lines(decisions: Decisions, plan: FleetPlan) -> list[str]:
    """What would be done at once with the jobs, and what is expected of it."""
    kind = plan.offers[0].kind
    lines = [f"At once: {start.why}" for start in decisions.start] or ["At once nothing would be rented."]
    if decisions.finish_s:
        cost = show_usd(decisions.cost_usd, kind)
        lines.append(f"All done in about {words.duration(decisions.finish_s)}, for about {cost}; an estimate.")
    reasons = Counter(each.why for each in decisions.unplaced)
    return [*lines, *(f"No pod for {count} of the jobs: {why}" for why, count in reasons.items())]


def fleet_lines(plan: FleetPlan) -> list[str]:
    """What a dry run says: how many pods, of what, to what end."""
    aim = plan.aim.value + ("" if plan.within_minutes is None else f" of {plan.within_minutes.normalize():f} minutes")
    budget = "" if plan.budget_usd is None else f", for ${plan.budget_usd:.2f} in all"
    limit = "no limit" if plan.session_limit_usd is None else f"${plan.session_limit_usd:.2f}"
    lines = [f"At most {plan.max_pods} pod{'' if plan.max_pods == 1 else 's'} at a time: {aim}{budget}."]
    for offer in plan.offers:
        where = f" ({words.clean(offer.where)})" if offer.where else ""
        lines.append(
            f"  may be {words.clean(offer.label)}{where} at {words.price(offer.price_per_hour_usd, offer.kind)}"
        )
    lines.append(f"All at once they cost {show_usd(plan.most_per_hour_usd, plan.offers[0].kind)} an hour at most.")
    lines.append(f"Each is rented when it pays, and ends when it does not. Limit of the session: {limit}.")
    if plan.needs_yes:
        lines.append("So many are so dear that they want --yes.")
    return [*lines, *(f"Note: {note}" for note in plan.notes)]
