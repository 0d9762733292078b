"""What jobs are going to cost, and whether a limit leaves that much: pure.

Only earlier runs of the same workflow template on the same GPU make a forecast. Without any there is none, and nothing
is refused for it: the limits themselves end what costs too much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from autopod_nb.errors import LimitReached
from autopod_nb.models.job import JobSpec
from autopod_nb.models.money import MoneyKind, cost_usd, show_usd

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What is left of a limit.

    Attributes:
        name: whose limit it is, in words: ``session``, ``day``.
        limit_usd: the limit.
        left_usd: of it, after what is spent and what jobs that wait or run are going to cost.
        option: how it is raised.
    """

    name: str
    limit_usd: Decimal
    left_usd: Decimal
    option: str


def forecast_usd(usual_s: float | None, price_per_hour_usd: Decimal) -> Decimal | None:
    """What one job is going to cost; None if it was never run there."""
    return None if usual_s is None else cost_usd(price_per_hour_usd, Decimal(str(usual_s)))


def refuse_what_does_not_fit(
    specs: Sequence[JobSpec],
    usual_s: Mapping[str, float],
    *,
    price_per_hour_usd: Decimal,
    kind: MoneyKind,
    budgets: Sequence[Budget],
) -> None:
    """Refuse jobs that are going to break a limit, before the first of them starts.

    Args:
        specs: the jobs.
        usual_s: workflow template → seconds that it usually takes on that GPU; nothing for one that never ran there.
        price_per_hour_usd: of the pod.
        kind: real or simulated money.
        budgets: what is left of each limit.

    Raises:
        LimitReached: it says what it would cost, what is left, and what would fit.
    """
    costs = [forecast_usd(usual_s.get(spec.workflow_template), price_per_hour_usd) for spec in specs]
    for spec, cost in zip(specs, costs, strict=True):
        limit = spec.pod_config.max_cost_usd
        if cost is not None and limit is not None and cost > limit:
            raise LimitReached(
                f"{spec.job_id} is going to cost about {show_usd(cost, kind)}, as its workflow usually does on this"
                f" GPU, and may cost {limit} USD: say --max-cost {_enough(cost)}, or ask for less."
            )
    known = [cost for cost in costs if cost is not None]
    for budget in budgets:
        if sum(known, Decimal(0)) > budget.left_usd:
            raise LimitReached(_too_much(known, budget, kind))


def _too_much(costs: Sequence[Decimal], budget: Budget, kind: MoneyKind) -> str:
    total, fitting, left = sum(costs, Decimal(0)), 0, budget.left_usd
    for cost in costs:
        if cost > left:
            break
        left -= cost
        fitting += 1
    jobs = "The job is" if len(costs) == 1 else f"The {len(costs)} jobs are"
    fits = "none of them fits" if not fitting else f"the first {fitting} would fit"
    more = _enough(budget.limit_usd + total - budget.left_usd)
    return (
        f"{jobs} going to cost about {show_usd(total, kind)}, and the {budget.name}'s limit of {budget.limit_usd} USD"
        f" leaves {show_usd(max(Decimal(0), budget.left_usd), kind)}"
        f"{'' if len(costs) == 1 else f': {fits}'}. Raise the limit to {more} with {budget.option}, or ask for less."
    )


def _enough(amount_usd: Decimal) -> Decimal:
    """A tenth more, in whole cents, for no two runs are the same."""
    return (amount_usd * Decimal("1.1")).quantize(_CENT) + _CENT
