"""Lines of a log: cleaned, put together, searched, with the known failures in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from autopod_nb.log import redact
from autopod_nb.models.failures import recognise_all
from autopod_nb.widgets import card

GAP = "… some lines are missing here …"
_SHOWN_LINES = 300
_MAX_LINE = 1000  # characters
_LEVELS = {
    "everything": re.compile(""),
    "warnings and errors": re.compile(r"warn|error|exception|traceback|critical|failed|!!!", re.IGNORECASE),
    "errors": re.compile(r"error|exception|traceback|critical|failed|!!!", re.IGNORECASE),
}
LEVELS = tuple(_LEVELS)
"""What a view may be narrowed to. ComfyUI's log has no levels of its own: the words in a line tell."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


def clean_line(line: str) -> str:
    """A line without secrets, colours and control characters; of a progress bar that redraws itself, its last state."""
    text = _ANSI.sub("", redact(line.rstrip("\r\n"))).rpartition("\r")[2]
    text = _CONTROL.sub(" ", text).rstrip()
    return text if len(text) <= _MAX_LINE else text[: _MAX_LINE - 1] + "…"


def merge(known: Sequence[str], newest: Sequence[str]) -> tuple[str, ...]:
    """What was known, and the newest lines behind it, each once; a gap is marked.

    Args:
        known: in order.
        newest: the end of the log now, which most often begins with lines that are known.
    """
    if not known or not newest:
        return (*known, *newest)
    for overlap in range(min(len(known), len(newest)), 0, -1):
        if tuple(known[-overlap:]) == tuple(newest[:overlap]):
            return (*known, *newest[overlap:])
    return (*known, GAP, *newest)


def chosen(lines: Sequence[str], *, pattern: re.Pattern[str] | None = None, last: int | None = None) -> tuple[str, ...]:
    """The lines that a pattern finds, or all; of these the last ones."""
    found = [line for line in map(clean_line, lines) if pattern is None or pattern.search(line)]
    return tuple(found[-last:] if last is not None else found)


def of_level(lines: Sequence[str], level: str, text: str) -> tuple[str, ...]:
    """Those of the cleaned lines that are of a level and hold a text, whatever its case."""
    pattern, wanted = _LEVELS[level], text.strip().lower()
    return tuple(line for line in lines if pattern.search(line) and wanted in line.lower())


def failure_lines(lines: Sequence[str]) -> list[str]:
    """The known failures in a log, in words, each with the line that shows it."""
    return [f"{failure} ({clean_line(line)[:120]})" for failure, line in recognise_all(lines)]


def log_text(lines: Sequence[str], *, failures: Sequence[str] = ()) -> str:
    """The lines, and what is known to be wrong below them."""
    return "\n".join([*lines, *([""] if failures and lines else []), *(f"Known failure: {each}" for each in failures)])


def log_html(name: str, lines: Sequence[str]) -> str:
    """The lines as a block that keeps their blanks."""
    more = len(lines) - _SHOWN_LINES
    head = f"… {more} earlier lines are not shown …\n" if more > 0 else ""
    body = escape(head + "\n".join(lines[-_SHOWN_LINES:]))
    style = "white-space:pre-wrap;overflow-wrap:anywhere;margin:0;font-size:12px;line-height:1.4"
    return f'<pre role="log" aria-label="{card.label(name)}" style="{style}">{body or "(nothing yet)"}</pre>'


def failures_html(failures: Sequence[str]) -> str:
    """What is known to be wrong."""
    lines = "".join(card.text_line(f"Known failure: {each}", card.BAD) for each in failures)
    return f'<div role="alert">{lines}</div>' if lines else ""


def page_html(name: str, lines: Sequence[str], failures: Sequence[str]) -> str:
    """A whole log as a card: it scrolls by itself and begins at its end."""
    scroll = "max-height:360px;overflow:auto;display:flex;flex-direction:column-reverse"
    return card.section(
        name,
        [
            f"<div><b>{card.safe(name)}</b></div>",
            failures_html(failures),
            f'<div style="{scroll}">{log_html(name, lines)}</div>',
        ],
    )
