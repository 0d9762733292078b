"""What waits for the session thread, in order."""

from __future__ import annotations

import threading
from collections import deque

from autopod_nb.session.events import Message


class Inbox:
    """Messages of all threads, taken by one.

    Fifty pods tell a thousand times a second how far they are. To wake a thread for each of that costs more than to
    take it in, so such messages wait for each other. Whatever else comes wakes the thread at once, which takes all.
    """

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._changed = threading.Condition()
        self._hurries = False

    def put(self, message: Message, *, can_wait: bool) -> None:
        """Add one. Never blocks; may be called in any thread.

        Args:
            can_wait: it need not be taken before it is to be shown.
        """
        with self._changed:
            self._messages.append(message)
            self._hurries = self._hurries or not can_wait
            if self._hurries or len(self._messages) == 1:
                self._changed.notify()

    def take(self, *, wait_s: float, hold_s: float) -> list[Message]:
        """All that is there.

        Args:
            wait_s: for the first, at most; in real seconds.
            hold_s: for the others, while nothing hurries.
        """
        with self._changed:
            if self._changed.wait_for(lambda: bool(self._messages), wait_s) and hold_s > 0:
                self._changed.wait_for(lambda: self._hurries, hold_s)
            messages = list(self._messages)
            self._messages.clear()
            self._hurries = False
            return messages

    def __len__(self) -> int:
        return len(self._messages)
