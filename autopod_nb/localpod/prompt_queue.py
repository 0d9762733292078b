"""What waits, what runs and what is done: the queue and the history of the built-in engine.

Order and quirks are those of ComfyUI 0.12.1 as recorded: the waiting list is a heap and shown as one, a prompt id is
not checked for being new, and an entry that ties with a waiting one is taken in although its sender gets an error.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

HISTORY_SIZE = 10_000  # entries kept, as the real server keeps them


class TiedEntryError(Exception):
    """The same number and prompt id are waiting already; the new entry was queued all the same."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted `POST /prompt`.

    Args:
        number: Place in the queue; lower runs first.
        prompt_id: Chosen by the client, or made by the server.
        graph: The workflow in API format, inputs converted to their types.
        extra_data: What the client sent along, without its secrets, plus `client_id` and `create_time` (ms).
        outputs: Ids of the output nodes to run.
        order: Counts accepted posts; breaks ties.
    """

    number: float
    prompt_id: str
    graph: Mapping[str, Any]
    extra_data: Mapping[str, Any]
    outputs: tuple[str, ...]
    order: int = 0

    def __lt__(self, other: Entry) -> bool:
        return (self.number, self.prompt_id, self.order) < (other.number, other.prompt_id, other.order)

    def row(self) -> list[Any]:
        """Return the entry as `/queue` and `/history` show it."""
        return [self.number, self.prompt_id, self.graph, self.extra_data, list(self.outputs)]


class PromptQueue:
    """Waiting entries, the running one, and the history. Every method may be called from any thread.

    Args:
        changed: Called after each change of what waits or runs; must not call back.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._waiting: list[Entry] = []
        self._running: Entry | None = None
        self._history: dict[str, dict[str, Any]] = {}
        self._woken = False

    def put(self, entry: Entry) -> None:
        """Queue an entry.

        Raises:
            TiedEntryError: See there.
        """
        with self._lock:
            tied = any((other.number, other.prompt_id) == (entry.number, entry.prompt_id) for other in self._waiting)
            heapq.heappush(self._waiting, entry)
            self._wake.notify()
        if tied:
            raise TiedEntryError(f"two entries with number {entry.number} and prompt id {entry.prompt_id!r}")
        self._changed()

    def take(self) -> Entry | None:
        """Wait for the next entry and make it the running one; None after `wake`. For the worker thread."""
        with self._wake:
            while not self._waiting and not self._woken:
                self._wake.wait()
            self._woken = False
            if not self._waiting:
                return None
            self._running = heapq.heappop(self._waiting)
            entry = self._running
        self._changed()
        return entry

    def wake(self) -> None:
        """Let `take` return, with None if nothing waits."""
        with self._wake:
            self._woken = True
            self._wake.notify()

    def done(self, entry: Entry, result: Mapping[str, Any]) -> None:
        """Move the running entry to the history.

        Args:
            entry: What `take` returned.
            result: `outputs`, `status` and `meta` of the history entry; not changed afterwards.
        """
        with self._lock:
            self._running = None
            if len(self._history) >= HISTORY_SIZE:
                del self._history[next(iter(self._history))]
            self._history[entry.prompt_id] = {"prompt": entry.row(), **result}
        self._changed()

    def remaining(self) -> int:
        """Return how many entries wait or run."""
        with self._lock:
            return len(self._waiting) + (self._running is not None)

    def running(self) -> Entry | None:
        """Return the running entry."""
        return self._running

    def snapshot(self) -> tuple[list[Entry], list[Entry]]:
        """Return what runs and what waits, the latter in heap order."""
        with self._lock:
            return [] if self._running is None else [self._running], list(self._waiting)

    def clear(self) -> None:
        """Forget whatever waits."""
        with self._lock:
            self._waiting = []
        self._changed()

    def delete(self, prompt_id: str) -> None:
        """Forget one waiting entry of this id, if there is one; the running one is left alone."""
        with self._lock:
            index = next((i for i, entry in enumerate(self._waiting) if entry.prompt_id == prompt_id), None)
            if index is None:
                return
            del self._waiting[index]
            heapq.heapify(self._waiting)
        self._changed()

    def history(self, max_items: int | None = None, offset: int = -1) -> dict[str, dict[str, Any]]:
        """Return a part of the history, oldest first.

        Args:
            max_items: With a negative offset the newest so many; else the first so many after the offset.
            offset: How many to leave out, from the oldest.
        """
        with self._lock:
            start = len(self._history) - max_items if offset < 0 and max_items is not None else offset
            # At least one, once the start lies inside: the real server counts after it has taken an entry.
            stop = None if max_items is None else max(start, 0) + max(max_items, 1)
            return dict(islice(self._history.items(), max(start, 0), stop))

    def past(self, prompt_id: str) -> dict[str, Any] | None:
        """Return one entry of the history."""
        with self._lock:
            return self._history.get(prompt_id)

    def forget(self, prompt_id: str) -> None:
        """Delete one entry of the history, if there is one."""
        with self._lock:
            self._history.pop(prompt_id, None)

    def forget_all(self) -> None:
        """Delete the history."""
        with self._lock:
            self._history = {}
