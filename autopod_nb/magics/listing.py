"""Verbs that list: ``pods``, ``jobs``, ``templates``."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autopod_nb.magics.text import Page, Text
from autopod_nb.widgets import listing, words
from autopod_nb.widgets.status_json import jobs_json, pods_json
from autopod_nb.widgets.table import Cell, Table, table_html, table_text

if TYPE_CHECKING:
    from autopod_nb.session.template_list import TemplateFacts


def page(table: Table) -> Page:
    """A table as a value that shows itself."""
    return Page(table_text(table), table_html(table))


def pods(args: Namespace) -> object:
    """Every pod that may bill, ours and those of other processes."""
    from autopod_nb.session.build import open_session
    from autopod_nb.session.others import look_at_others

    session = open_session()
    others = look_at_others(session)
    if args.json:
        return Text(pods_json(session.snapshot, others))
    return page(listing.pods_table(session.snapshot, others))


def jobs(args: Namespace) -> object:
    """The jobs of the session, or with ``--all`` the history as a DataFrame."""
    from autopod_nb.session.build import current_session

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
