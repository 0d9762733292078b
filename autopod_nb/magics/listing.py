"""Verbs that list: ``pods``, ``jobs``, ``templates``."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from autopod_nb.magics.text import Page, Text
from autopod_nb.widgets import card, listing, words
from autopod_nb.widgets.status_json import jobs_json, pods_json
from autopod_nb.widgets.table import Cell, Table, table_html, table_text

if TYPE_CHECKING:
    from autopod_nb.session.others import StrangePod
    from autopod_nb.session.template_list import TemplateFacts


def page(table: Table) -> Page:
    """A table as a value that shows itself."""
    return Page(table_text(table), table_html(table))


def pods(args: Namespace) -> object:
    """Every pod that may bill: ours, those of other processes, and those that only the provider knows."""
    from autopod_nb.errors import ProviderError
    from autopod_nb.session.build import open_session
    from autopod_nb.session.others import look_at_others, look_for_strangers

    session = open_session()
    others, unread = look_at_others(session), ""
    strangers: Sequence[StrangePod] = ()
    try:
        strangers = look_for_strangers(session.settings, clock=session.clock)
    except ProviderError as error:  # what the ledger knows is shown all the same
        unread = str(error)
    if args.json:
        return Text(_all_pods_json(pods_json(session.snapshot, others), strangers, session.settings.provider, unread))
    return page(with_strangers(listing.pods_table(session.snapshot, others), strangers, unread))


def with_strangers(table: Table, strangers: Sequence[StrangePod], unread: str = "") -> Table:
    """The table of pods with those that only the provider knows.

    Args:
        table: of what the ledger knows.
        strangers: the others.
        unread: why the provider could not be asked; empty if it could.
    """
    notes = [*table.notes] if table.rows or not strangers else []  # "no pod is known" would be untrue
    if unread:
        notes.insert(0, f"{unread} Pods that only the provider knows are missing here, and may bill.")
    rows = [*table.rows, *map(_strange_row, strangers)]
    return replace(table, rows=rows, notes=[*map(_strange_note, strangers), *notes])


def _strange_row(pod: StrangePod) -> tuple[Cell, ...]:
    price, cost = pod.price_per_hour_usd, pod.cost_usd
    return (
        Cell(pod.provider_id),
        Cell(pod.state.value, card.WARN),
        Cell(f"{pod.gpu or 'GPU unknown'} ({pod.provider})"),
        Cell("unknown" if price is None else f"${price:.2f} an hour"),
        Cell("unknown" if cost is None else f"about ${cost:.2f}"),
        Cell("unknown to the ledger" if not pod.pod_id else f"{pod.pod_id}, gone by the ledger", card.BAD),
        Cell("–"),
        Cell("unknown"),
    )


def _strange_note(pod: StrangePod) -> str:
    age = "" if pod.age_s is None else f", rented {words.duration(pod.age_s)} ago"
    return (
        f"Pod {pod.provider_id} at {pod.provider} (named {pod.name!r}{age}) may bill and is not of this ledger: it is"
        f" left alone unless you say `%autopod kill {pod.provider_id} --yes`."
    )


def _all_pods_json(known: str, strangers: Sequence[StrangePod], provider: str, unread: str) -> str:
    """Those of the ledger, then the strangers; a last row without an id if the provider could not be asked."""
    rows = json.loads(known) + [_strange_facts(pod) for pod in strangers]
    if unread:
        rows.append(
            {"pod_id": None, "provider": provider, "state": "unknown", "owner": "", "error": words.clean(unread)}
        )
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _strange_facts(pod: StrangePod) -> dict[str, str | float | None]:
    return {
        "pod_id": pod.pod_id or None,
        "provider": pod.provider,
        "provider_id": pod.provider_id,
        "name": words.clean(pod.name),
        "gpu_type": words.clean(pod.gpu),
        "state": pod.state.value,
        "price_per_hour_usd": None if pod.price_per_hour_usd is None else str(pod.price_per_hour_usd),
        "cost_usd": None if pod.cost_usd is None else str(pod.cost_usd),
        "age_s": pod.age_s,
        "owner": "",
        "error": "",
    }


def jobs(args: Namespace) -> object:
    """The jobs of the session, with ``--all`` the history as a DataFrame, or either with ``--plot`` as figures."""
    from autopod_nb.session.build import current_session

    if args.plot:
        from autopod_nb.magics.costs import written_ledger
        from autopod_nb.magics.plots import plot_jobs

        return plot_jobs(args, written_ledger())
    if args.all:
        from autopod_nb.magics.export import frame_json, read_history

        frame = read_history()
        return Text(frame_json(frame)) if args.json else frame
    session = current_session()
    snapshot = None if session is None else session.snapshot
    return Text(jobs_json(snapshot)) if args.json else page(listing.jobs_table(snapshot))


def templates(args: Namespace) -> object:
    """The workflow templates, or one of them in detail."""
    from autopod_nb.session.template_list import all_templates, one_template

    if args.template is not None:
        facts = one_template(args.template, Path.cwd())
        return Text(_templates_json([facts])) if args.json else Text("\n".join(_detail_lines(facts)))
    found = all_templates(Path.cwd())
    return Text(_templates_json(found)) if args.json else page(_templates_table(found))


def _templates_table(found: Sequence[TemplateFacts]) -> Table:
    notes = ["`%autopod templates NAME` says more. Your own go into ./templates/."]
    notes += [f"{facts.name} cannot be used: {facts.error}" for facts in found if facts.error]
    return Table(
        name="Workflow templates",
        headings=("Template", "Inputs", "Parameters", "Outputs", "File"),
        rows=[_template_row(facts) for facts in found],
        notes=notes,
    )


def _template_row(facts: TemplateFacts) -> tuple[Cell, ...]:
    params = [*facts.required, *(f"{name}={_value(default)}" for name, default in facts.defaults.items())]
    return (
        Cell(facts.name),
        Cell(", ".join(facts.inputs) or "–"),
        Cell(", ".join(params) or "–"),
        Cell(", ".join(facts.outputs) or "–"),
        Cell(words.place(facts.path)),
    )


def _value(default: object) -> str:
    text = json.dumps(default, ensure_ascii=False)
    return text if len(text) <= 24 else text[:23] + "…"


def _detail_lines(facts: TemplateFacts) -> list[str]:
    rows = [("input", name, "a file, required") for name in facts.inputs]
    rows += [("param", name, "required") for name in facts.required]
    rows += [
        ("param", name, f"default {json.dumps(default, ensure_ascii=False)}")
        for name, default in facts.defaults.items()
    ]
    rows += [("output", name, "") for name in facts.outputs]
    width = max((len(name) for _, name, _ in rows), default=0)
    lines = [f"{facts.name}: {facts.nodes} nodes, {words.place(facts.path)}"]
    lines += [f"  {kind:<6} {name:<{width}}  {what}".rstrip() for kind, name, what in rows]
    return [*lines, f"  needs the node classes {', '.join(facts.classes)}", "", *_example(facts)]


def _example(facts: TemplateFacts) -> list[str]:
    """A cell to begin with."""
    lines = [f"%%comfyjob {facts.name}"]
    lines += ["inputs:", *(f"  {name}: PATH" for name in facts.inputs)] if facts.inputs else []
    params = [(name, "VALUE") for name in facts.required]
    params += [(name, json.dumps(default, ensure_ascii=False)) for name, default in facts.defaults.items()]
    lines += ["params:", *(f"  {name}: {value}" for name, value in params)] if params else []
    return lines


def _templates_json(found: Sequence[TemplateFacts]) -> str:
    rows = [
        {
            "name": facts.name,
            "path": str(facts.path),
            "inputs": list(facts.inputs),
            "required_params": list(facts.required),
            "default_params": dict(facts.defaults),
            "outputs": list(facts.outputs),
            "nodes": facts.nodes,
            "classes": list(facts.classes),
            "error": facts.error,
        }
        for facts in found
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)
