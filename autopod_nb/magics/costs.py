"""The verbs ``costs`` and ``reconcile``: what was spent, and whether the provider says the same."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from autopod_nb.config import LEDGER_NAME, read_home
from autopod_nb.errors import UsageError, nearest
from autopod_nb.magics.listing import page
from autopod_nb.magics.text import Text
from autopod_nb.models.money import MoneyKind, show_usd
from autopod_nb.models.reconciliation import Line, Reconciliation, Verdict
from autopod_nb.widgets import card, words
from autopod_nb.widgets.table import Cell, Table

if TYPE_CHECKING:
    from autopod_nb.session.costs import Costs, Spent

_NONE = "–"
_PARTS: tuple[tuple[str, Callable[[Spent], Decimal]], ...] = (
    ("– jobs that are done, or not over", lambda spent: spent.job_usd),
    ("– waste, all of what follows", lambda spent: spent.waste_usd),
    ("– – boot of pods that became ready", lambda spent: spent.boot_usd),
    ("– – boot of pods that never became ready", lambda spent: spent.vain_boot_usd),
    ("– – idle pods", lambda spent: spent.idle_usd),
    ("– – storage of stopped pods", lambda spent: spent.storage_usd),
    ("– – jobs that failed, were cancelled or repeated", lambda spent: spent.lost_job_usd),
)
_COLOURS = {Verdict.UNKNOWN: card.BAD, Verdict.DRIFTS: card.WARN, Verdict.AGREES: card.OK}


# --- costs -----------------------------------------------------------------------------------------------------------


def costs(args: Namespace) -> object:
    """What was spent, as a table, with ``--by`` as a DataFrame, or with ``--plot`` as figures."""
    from autopod_nb.clock import default_clock
    from autopod_nb.session.costs import CostGroup, costs_by_frame, group_facts, group_rows, read_costs

    groups = [each.value for each in CostGroup]
    if args.by not in (None, *groups):
        raise UsageError(f"--by {args.by!r} is none of {', '.join(groups)}.{nearest(args.by, groups)}")
    if args.plot:
        from autopod_nb.magics.plots import plot_costs

        return plot_costs(args, written_ledger())
    path, now = written_ledger(), default_clock().now()
    if args.by is None:
        found = read_costs(path, now=now, month=args.month)
        return Text(_costs_json(found)) if args.json else page(costs_table(found))
    by = CostGroup(args.by)
    rows = group_rows(path, by, now=now, month=args.month)
    return Text(json.dumps(group_facts(rows, by), indent=2)) if args.json else costs_by_frame(rows, by)


def written_ledger() -> Path:
    """Where the ledger is, with all in it that has happened so far."""
    from autopod_nb.session.build import current_session

    session = current_session()
    if session is None:
        return read_home() / LEDGER_NAME
    session.wait_written()
    return session.ledger_path


def costs_table(costs: Costs) -> Table:
    """A month by its parts, and today; a column for each kind of money."""
    kinds = [kind for kind in MoneyKind if kind in costs.in_month]
    month = f"{costs.month:%Y-%m}"
    if not kinds:
        return Table(name="Costs", headings=(), rows=[], notes=(f"Nothing was booked in {month} (UTC).",))
    rows = []
    if costs.today is not None:
        rows.append(_row("Today", kinds, costs.today, lambda spent: spent.total_usd))
    rows.append(_row(f"Month {month}", kinds, costs.in_month, lambda spent: spent.total_usd))
    rows += [_row(name, kinds, costs.in_month, amount) for name, amount in _PARTS]
    notes = [
        "Days and months are of UTC. The stretch that runs just now, of 10 s at most, is not booked yet.",
        "`%autopod costs --by pod` (job, template, gpu) says what it went to; `%autopod reconcile` asks the provider.",
    ]
    if len(kinds) > 1:
        notes.insert(0, "Simulated money is nobody's, so the two columns are not added.")
    return Table(name="Costs", headings=("", *(kind.value for kind in kinds)), rows=rows, notes=notes)


def _row(
    name: str, kinds: list[MoneyKind], spent: Mapping[MoneyKind, Spent], amount: Callable[[Spent], Decimal]
) -> tuple[Cell, ...]:
    amounts = [amount(spent[kind]) if kind in spent else Decimal(0) for kind in kinds]
    return (Cell(name), *(Cell(show_usd(each, kind)) for each, kind in zip(amounts, kinds, strict=True)))


def _costs_json(costs: Costs) -> str:
    facts = {
        "month": f"{costs.month:%Y-%m}",
        "today": None if costs.today is None else _spent_facts(costs.today),
        "in_month": _spent_facts(costs.in_month),
    }
    return json.dumps(facts, indent=2)


def _spent_facts(spent: Mapping[MoneyKind, Spent]) -> dict[str, dict[str, str]]:
    """Money is text, so that no digit is lost."""
    return {
        kind.value: {each.name: str(getattr(amounts, each.name)) for each in fields(amounts)}
        for kind, amounts in spent.items()
    }


# --- reconcile -------------------------------------------------------------------------------------------------------


def reconcile(args: Namespace) -> object:
    """The provider's bill beside the ledger, pod by pod."""
    from autopod_nb.clock import default_clock
    from autopod_nb.config import read_settings
    from autopod_nb.session.build import current_session
    from autopod_nb.session.reconcile import DAYS, reconcile

    session = current_session()
    settings = read_settings(provider=args.provider) if session is None or args.provider else session.settings
    written_ledger()
    found = reconcile(settings, clock=default_clock(), days=args.days or DAYS)
    if found is None:
        name = settings.provider
        return Text(f"The provider {name} has no bill that could be read; `%autopod costs` is what was booked here.")
    if args.json:
        return Text(_reconcile_json(found, settings.provider))
    return page(reconcile_table(found, settings.provider))


def reconcile_table(found: Reconciliation, provider: str) -> Table:
    """A row a pod and a network volume, and in words until when it was compared."""
    headings = ("Pod", "Booked here", f"Billed by {words.clean(provider)}", "Difference", "%", "Note")
    span = f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC"
    notes = [f"Compared from {span}; what is not surely on the bill yet is left out on both sides.", *_totals(found)]
    strange = [line.provider_id for line in found.lines if line.verdict is Verdict.UNKNOWN]
    if strange:
        notes.insert(0, f"Not in this ledger: {', '.join(strange)}. `%autopod pods` says whether they still bill.")
    if not found.lines:
        notes.append("Neither side has anything.")
    return Table(name="Reconciliation", headings=headings, rows=[*map(_line_row, found.lines)], notes=notes)


def _line_row(line: Line) -> tuple[Cell, ...]:
    drift, percent = line.drift_usd, line.drift_percent
    return (
        Cell(line.pod_id or line.provider_id),
        Cell(_NONE if line.ledger_usd is None else show_usd(line.ledger_usd, line.kind)),
        Cell(_NONE if line.verdict is Verdict.OPEN else show_usd(line.billed_usd, line.kind)),
        Cell(_NONE if drift is None else f"{'-' if drift < 0 else '+'}{show_usd(abs(drift), line.kind)}"),
        Cell(_NONE if percent is None else f"{percent:+f}"),
        Cell(line.verdict.value, _COLOURS.get(line.verdict, "")),
    )


def _totals(found: Reconciliation) -> list[str]:
    """A sentence for each kind of money: pods of the ledger by themselves, then what it does not know."""
    lines = []
    for kind in MoneyKind:
        if not any(line.kind is kind for line in found.lines):
            continue
        booked, billed = found.total_usd(kind, Verdict.AGREES, Verdict.DRIFTS)
        others = [(name, found.total_usd(kind, verdict)[1]) for name, verdict in _OTHERS]
        rest = "".join(f", {name} {show_usd(amount, kind)}" for name, amount in others if amount)
        lines.append(f"Pods of the ledger: booked {show_usd(booked, kind)}, billed {show_usd(billed, kind)}{rest}.")
    return lines


_OTHERS = (("unknown pods", Verdict.UNKNOWN), ("network volumes", Verdict.VOLUME))


def _reconcile_json(found: Reconciliation, provider: str) -> str:
    facts = {
        "provider": provider,
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "lines": [_line_facts(line) for line in found.lines],
    }
    return json.dumps(facts, indent=2)


def _line_facts(line: Line) -> dict[str, str | None]:
    amounts = {
        "ledger_usd": line.ledger_usd,
        "billed_usd": line.billed_usd,
        "drift_usd": line.drift_usd,
        "drift_percent": line.drift_percent,
    }
    return {
        "pod_id": line.pod_id or None,
        "provider_id": line.provider_id,
        "money": line.kind.value,
        **{name: None if amount is None else str(amount) for name, amount in amounts.items()},
        "note": line.verdict.value,
    }
