"""Text of anybody, made safe to stand in HTML: pure."""

from __future__ import annotations

from html import escape

from autopod_nb.widgets import words


def label(text: str) -> str:
    """*text* for an attribute: on one line, without secrets, escaped."""
    return escape(words.clean(text))


def safe(text: str) -> str:
    """*text* for a body. A dollar sign gets a tag of its own, or a notebook takes two prices for a formula."""
    return label(text).replace("$", "<span>$</span>")
