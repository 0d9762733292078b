"""The commands as HTML, from the one table in ``verbs.py``: pure.

Rules are those of ``card.py``: it follows the theme, wraps at any width, and reads without colours.
"""

from __future__ import annotations

from collections.abc import Sequence

from autopod_nb.verb import Option, Verb
from autopod_nb.verbs import BY_NAME, CELL, VERBS
from autopod_nb.widgets import card
from autopod_nb.widgets.safe import label, safe

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Rent a pod", ("connect", "gpus", "adopt")),
    ("Run jobs", (CELL.name, "run", "again", "templates")),
    ("Watch", ("panel", "status", "wait", "pods", "jobs", "logs", "gui")),
    ("End, or keep", ("cancel", "stop", "kill", "keep", "detach", "disconnect")),
    ("Money and history", ("history", "costs", "reconcile", "export")),
    ("Set up", ("config", "doctor", "help")),
)
"""What a person wants → the commands for it; a verb that is in none stands in a last group of its own."""

_WIDTH_PX = 900
_CELL = "text-align:left;padding:2px 12px 2px 0;box-sizing:border-box"
_ROW = '<tr role="row" style="display:flex;flex-wrap:wrap">'  # in a narrow page the text stands below the name
_TABLE = "margin:0;font-size:13px;width:100%"
_CODE = "white-space:pre-wrap;overflow-wrap:anywhere"
_FIRST_STEPS = (
    ("rent a pod", "%autopod connect"),
    ("see pods, jobs and money, with buttons", "%autopod panel"),
    ("end the pod", "%autopod stop"),
)


def help_html() -> str:
    """All commands by what a person wants, each with its options folded below it."""
    every = {CELL.name: CELL, **BY_NAME}
    grouped = {name for _, names in GROUPS for name in names}
    groups = [(title, [every[name] for name in names if name in every]) for title, names in GROUPS]
    groups.append(("More", [verb for verb in VERBS if verb.name not in grouped]))
    parts = [_group(title, verbs) for title, verbs in groups if verbs]
    more = "<code>%autopod help VERB</code> or <code>%autopod VERB --help</code> explains one; Tab completes."
    return card.section("Commands", [_first_steps(), *parts, f'<div style="margin-top:8px">{more}</div>'],
                        width_px=_WIDTH_PX)  # fmt: skip


def verb_html(verb: Verb) -> str:
    """One command: its usage line, what it does, its options with an example of each."""
    parts = [
        f"<div><b>{_usage(verb)}</b></div>",
        card.text_line(verb.summary),
        _options(verb),
        f'<div style="margin-top:4px">Example: {_code(verb.example)}</div>',
    ]
    return card.section(f"Command {verb.name}", parts, width_px=_WIDTH_PX)


def _usage(verb: Verb) -> str:
    """The usage line, which breaks between options only."""
    return _line([verb.command, *(option.usage for option in verb.options)])


def _first_steps() -> str:
    steps = [*_FIRST_STEPS]
    steps.insert(1, ("run a job from a cell", CELL.example))
    items = "".join(f"<li>{safe(what)}: {_code(line)}</li>" for what, line in steps)
    return f'<ol aria-label="First steps" style="margin:0;padding-left:24px">{items}</ol>'


def _group(title: str, verbs: Sequence[Verb]) -> str:
    return f'<h4 style="margin:10px 0 2px">{safe(title)}</h4>{_table(title, "".join(map(_verb_row, verbs)))}'


def _table(name: str, rows: str) -> str:
    """Rows that are no table to the eye everywhere; the roles say that they are one."""
    body = f'<tbody role="rowgroup" style="display:block">{rows}</tbody>'
    return f'<table role="table" aria-label="{label(name)}" style="{_TABLE};display:block">{body}</table>'


def _row(name: str, text: str, *, bold: bool) -> str:
    weight = "" if bold else ";font-weight:400"
    head = f'<th scope="row" role="rowheader" style="{_CELL};flex:0 0 184px{weight}">{_code(name)}</th>'
    return f'{_ROW}{head}<td role="cell" style="{_CELL};flex:1 1 240px;min-width:0">{text}</td></tr>'


def _verb_row(verb: Verb) -> str:
    return _row(verb.command, safe(verb.summary) + _folded(verb), bold=True)


def _folded(verb: Verb) -> str:
    if not verb.options:
        return f"<div>Example: {_code(verb.example)}</div>"
    count = f"{len(verb.options)} option{'' if len(verb.options) == 1 else 's'}"
    quiet = f"color:{card.QUIET};cursor:pointer"
    return (
        f'<details><summary style="{quiet}" aria-label="{count} of {safe(verb.name)}">{count}, such as '
        f"{_code(verb.options[0].example)}</summary>{_options(verb)}</details>"
    )


def _options(verb: Verb) -> str:
    """Each option with what it does and an example; empty if there are none."""
    rows = "".join(_option_row(option) for option in verb.options)
    return _table(f"Options of {verb.name}", rows) if rows else ""


def _option_row(option: Option) -> str:
    return _row(option.label, f"{safe(option.help)}<div>{_code(option.example)}</div>", bold=False)


def _code(text: str) -> str:
    """A line as it is typed, which breaks between words only: never behind the hyphens of an option."""
    return _line(text.split(" "))


def _line(words: Sequence[str]) -> str:
    parts = [f'<span style="white-space:nowrap">{safe(word)}</span>' if "-" in word else safe(word) for word in words]
    return f'<code style="{_CODE}">{" ".join(parts)}</code>'
