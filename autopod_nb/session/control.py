"""The control of a session: the desk behind its buttons, and the server that brings presses when messages wait."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autopod_nb.config import Secret
from autopod_nb.errors import UsageError
from autopod_nb.models.action import Action, ActionAnswer
from autopod_nb.models.snapshot import Snapshot
from autopod_nb.session.actions import ActionDesk
from autopod_nb.session.control_state import state_json

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session
    from autopod_nb.web.control import ControlServer


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAddress:
    """Where the control server of this kernel is.

    Attributes:
        port: on 127.0.0.1 of the machine of this Python.
        token: whoever has it may act; travels by custom message and in a URL's fragment only.
        instance: what its ``/ping`` answers, so that a page can tell this kernel from another; no secret.
    """

    port: int
    token: Secret
    instance: str


class Control:
    """Owns the desk and the server. Any thread.

    Args:
        session: takes the commands; its snapshots are shown.

    Attributes:
        desk: behind every button.
        instance: names this kernel's server, whether it runs or not; no secret.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.desk = ActionDesk(session)
        self.instance = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._server: ControlServer | None = None
        self._closed = False
        self._kept: tuple[Snapshot, object, str] | None = None

    def act(self, action: Action) -> ActionAnswer:
        """Do what a button stands for, once for each id. Returns at once and never raises."""
        return self.desk.act(action)

    def address(self) -> ControlAddress:
        """Where the server is; the first call starts it.

        Raises:
            UsageError: the session is closed.
            OSError: no port can be had.
        """
        from autopod_nb.web.control import ControlServer  # noqa: PLC0415 - nothing needs a server before a panel

        with self._lock:
            if self._closed:
                raise UsageError("The session is closed: `%autopod connect` begins another.")
            if self._server is None:
                self._server = ControlServer(self.read_state, self.act, instance=self.instance)
            server = self._server
        return ControlAddress(port=server.port, token=server.token, instance=self.instance)

    def read_state(self) -> str:
        """The JSON that the control page shows; made once for each snapshot, however many pages ask."""
        snapshot, kept = self._session.snapshot, self._kept
        key = (self._session.closed, news := self.desk.news)
        if kept is not None and kept[0] is snapshot and kept[1] == key:
            return kept[2]
        text = state_json(snapshot, closed=key[0], instance=self.instance, no_end=self._session.no_end, news=news)
        self._kept = (snapshot, key, text)
        return text

    def close(self) -> None:
        """End the server and what the desk has begun. Waits; safe to call twice."""
        with self._lock:
            self._closed = True
            server, self._server = self._server, None
        if server is not None:
            server.close()
        self.desk.close()
