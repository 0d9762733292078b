"""Lists of RunPod in pages: whole, or an error. Pure but for what fetches a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autopod_nb.errors import ProviderError

_MOST_PAGES = 200  # a guess, so that a list that never ends has an end


def read_all(fetch: Callable[[Mapping[str, str]], dict[str, Any]], key: str) -> tuple[dict[str, Any], ...]:
    """Every entry of a list.

    Pages are newest first and shift when something is made meanwhile: entries that come twice are taken once. What
    came first counts, which is the older reading by less than the time of one list.

    Args:
        fetch: gives the page for a query.
        key: of the entries in a page.

    Raises:
        ProviderError: a page does not say whether it is the last, or cannot be read: the list is not whole.
    """
    found: dict[str, dict[str, Any]] = {}
    cursors: set[str] = set()
    query: dict[str, str] = {}  # without a limit a page is as long as it can be
    for _ in range(_MOST_PAGES):
        page = fetch(query)
        for entry in _entries(page, key):
            found.setdefault(entry["id"], entry)
        cursor = _next_cursor(page, key)
        if cursor is None:
            return tuple(found.values())
        if cursor in cursors:
            raise _incomplete(key, "a page leads back to itself")
        cursors.add(cursor)
        query = {"cursor": cursor}
    raise _incomplete(key, "it does not end")


def _entries(page: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = page.get(key)
    if not isinstance(entries, list):
        raise _incomplete(key, f"a page has no {key}")
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            raise _incomplete(key, "an entry has no id")
    return entries


def _next_cursor(page: Mapping[str, Any], key: str) -> str | None:
    """None after the last page."""
    block = page.get("pagination")
    if not isinstance(block, dict):
        raise _incomplete(key, "a page does not say whether it is the last")
    cursor, more = block.get("nextCursor"), block.get("hasNextPage")
    if not isinstance(more, bool) or more != (isinstance(cursor, str) and cursor != ""):
        raise _incomplete(key, "a page contradicts itself about the next one")
    return cursor if more else None


def _incomplete(key: str, why: str) -> ProviderError:
    return ProviderError(f"RunPod's list of {key} is not whole: {why}. Ask again; look into its console meanwhile.")
