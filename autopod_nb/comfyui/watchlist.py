"""The prompts that a monitor follows. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Watched:
    """What is known of one prompt.

    Attributes:
        client_id: that it was submitted under.
        known: it was on the server at some time; before that its absence means nothing.
        over: the socket told its end.
        misses: looks without a trace of it, in a row.
    """

    client_id: str
    known: bool = False
    over: bool = False
    misses: int = 0


class Watchlist:
    """Prompt id → what is known of it."""

    def __init__(self) -> None:
        self._watched: dict[str, Watched] = {}
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._watched)

    def add(self, prompt_id: str, client_id: str, *, posted: bool) -> None:
        """Follow a prompt; again only changes its client id."""
        with self._lock:
            self._watched[prompt_id] = Watched(client_id, known=posted)

    def posted(self, prompt_id: str) -> None:
        """The server took it."""
        self._present(prompt_id)

    def remove(self, prompt_id: str) -> Watched | None:
        """Follow it no longer. Returns what was known of it, None if it was not followed."""
        with self._lock:
            return self._watched.pop(prompt_id, None)

    def heard(self, prompt_id: str, *, over: bool) -> bool:
        """The socket told something of it. Returns whether it is followed at all."""
        watched = self._present(prompt_id)
        if watched is not None and over:
            watched.over = True
        return watched is not None

    def untold(self, client_id: str | None) -> bool:
        """Whether there are prompts of which the socket of *client_id* tells nothing, or nothing more."""
        with self._lock:
            return any(watched.over or watched.client_id != client_id for watched in self._watched.values())

    def absent(self, queued: Iterable[str]) -> list[str]:
        """The prompts that are not among *queued*; the others are known to be there."""
        queued = set(queued)
        with self._lock:
            followed = list(self._watched)
        for prompt_id in queued.intersection(followed):
            self._present(prompt_id)
        return [prompt_id for prompt_id in followed if prompt_id not in queued]

    def missed(self, prompt_id: str) -> int:
        """It is in neither queue nor history. Returns how often in a row; 0 if it need not be there (yet)."""
        with self._lock:
            watched = self._watched.get(prompt_id)
            if watched is None or not watched.known:
                return 0
            watched.misses += 1
            return watched.misses

    def _present(self, prompt_id: str) -> Watched | None:
        with self._lock:
            watched = self._watched.get(prompt_id)
            if watched is not None:
                watched.known, watched.misses = True, 0
            return watched
