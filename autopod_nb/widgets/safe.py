"""Text of anybody, made safe to stand in HTML: pure."""

from __future__ import annotations

from html import escape

from autopod_nb.widgets import words


def label(text: str) -> str:
    """*text* for an attribute: on one line, without secrets, escaped."""
    return escape(words.clean(text))


def safe(text: str) -> str:
    r"""*text* for a body. What a formula begins with gets a tag of its own.

    A notebook would take two prices for one, and a foreign ``\(\href{…}\)`` would become a link that runs a script.
    """
    return label(text).replace("$", "<span>$</span>").replace("\\", "<span>\\</span>")
