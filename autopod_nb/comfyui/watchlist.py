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
        known: it may be on the server by now; before that its absence means nothing.
        seen: it was there for sure.
        started: it is known to run, or to have run.
        over: the socket told its end.
        misses: looks without a trace of it, in a row.
    """

    client_id: str
    known: bool = False
    seen: bool = False
    started: bool = False
    over: bool = False
    misses: int = 0


class Watchlist:
    """Prompt id → what is known of it.

    Attributes:
        any_seen: one of them was on the server for sure, be it followed still or not.
    """

    def __init__(self) -> None:
        self.any_seen = False
        self._watched: dict[str, Watched] = {}
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._watched)

    def add(self, prompt_id: str, client_id: str, *, posted: bool) -> None:
        """Follow a prompt; again only changes its client id."""
        with self._lock:
            self._watched[prompt_id] = Watched(client_id, known=posted, seen=posted)

    def posted(self, prompt_id: str, *, sure: bool) -> None:
        """The server took it, or may have taken it."""
        if sure:
            self._present(prompt_id)
            return
        with self._lock:
            if (watched := self._watched.get(prompt_id)) is not None:
                watched.known = True

    def remove(self, prompt_id: str) -> Watched | None:
        """Follow it no longer. Returns what was known of it, None if it was not followed."""
        with self._lock:
            return self._watched.pop(prompt_id, None)

    def heard(self, prompt_id: str, *, started: bool = False, over: bool = False) -> bool:
        """The socket told something of it, its start or its end. Returns whether it is followed at all."""
        watched = self._present(prompt_id)
        if watched is not None:
            watched.started = watched.started or started
            watched.over = watched.over or over
        return watched is not None

    def begun(self, running: Iterable[str]) -> dict[str, str]:
        """Those of the *running* prompts whose start nobody has told yet; they count as told then.

        Returns:
            Prompt id → its client id.
        """
        with self._lock:
            found = {prompt_id: watched for prompt_id in running if (watched := self._watched.get(prompt_id))}
            new = {prompt_id: watched.client_id for prompt_id, watched in found.items() if not watched.started}
            for prompt_id in new:
                found[prompt_id].started = True
        return new

    def untold(self, client_id: str | None) -> bool:
        """Whether there are prompts of which the socket of *client_id* tells nothing, or nothing more."""
        with self._lock:
            return any(watched.over or watched.client_id != client_id for watched in self._watched.values())

    def is_deaf(self, client_id: str | None) -> bool:
        """Whether the socket of *client_id* tells of none of the prompts."""
        with self._lock:
            return all(watched.client_id != client_id for watched in self._watched.values())

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
                watched.known = watched.seen = self.any_seen = True
                watched.misses = 0
            return watched
