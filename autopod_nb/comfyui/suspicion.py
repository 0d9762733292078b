"""The suspicion that a socket is deaf: open, but told nothing any more."""

from __future__ import annotations


class Suspicion:
    """Raised when a socket should have told something and did not; it has a while to prove that it is not deaf.

    The server silences a socket when an older one of the same client id ends, for example one of a proxy.

    Args:
        patience_s: that while.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._until_s: float | None = None
        self._messages = 0

    def drop(self) -> None:
        """It is another socket now."""
        self._until_s = None

    def rouse(self, now_s: float, messages: int) -> None:
        """It should have told something. ``messages``: how many it has told so far."""
        if self._until_s is None:
            self._until_s, self._messages = now_s + self._patience_s, messages

    def is_right(self, now_s: float, messages: int) -> bool:
        """Whether the while is over and it told nothing, although it hears at least of the queue at starts and ends."""
        if self._until_s is None or now_s < self._until_s:
            return False
        self._until_s = None
        return messages == self._messages
