"""The one session of this process: made when it is first needed, closed when Python ends."""

from __future__ import annotations

import atexit
import os
import platform
import secrets
import sys
import threading

from autopod_nb.clock import Clock, default_clock
from autopod_nb.config import LEDGER_NAME, Settings, read_settings
from autopod_nb.log import open_log
from autopod_nb.providers.base import Provider
from autopod_nb.providers.registry import make_provider
from autopod_nb.session.manager import Session
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import Owner, Role

_lock = threading.Lock()
_session: Session | None = None


def build_session(
    settings: Settings, *, clock: Clock | None = None, provider: Provider | None = None, role: Role | None = None
) -> Session:
    """Put a session together: log, ledger, provider, threads. The caller closes it.

    Args:
        settings: what it goes by.
        clock: for tests; the machine's otherwise.
        provider: instead of the one that the settings name.
        role: what this process is to the ledger; None: a kernel or a terminal.

    Raises:
        ConfigError: no such provider.
        LedgerError: the ledger cannot be opened.
    """
    clock = clock or default_clock()
    provider = provider or make_provider(settings, clock)
    open_log(settings.home)
    ledger = Ledger(settings.home / LEDGER_NAME, clock=clock).open()
    role = role or (Role.KERNEL if "ipykernel" in sys.modules else Role.TERMINAL)
    owner = Owner(owner_id=secrets.token_hex(6), role=role, host=platform.node(), pid=os.getpid())
    return Session(settings, provider=provider, ledger=ledger, owner=owner, clock=clock)


def open_session(provider: str | None = None) -> Session:
    """The session of this process; made at the first call.

    Args:
        provider: instead of the one in the settings; only counts when the session is made.
    """
    global _session  # noqa: PLW0603 - one a process is the point
    with _lock:
        if _session is None or _session.closed:
            _session = build_session(read_settings(provider=provider))
            atexit.register(_at_exit)
        return _session


def current_session() -> Session | None:
    """The session of this process, None as long as nothing needed one."""
    with _lock:
        return None if _session is None or _session.closed else _session


def close_session() -> None:
    """End what bills and close the session. Safe to call twice."""
    session = current_session()
    if session is not None:
        session.close()


def _at_exit() -> None:
    """A kernel that restarts leaves its pods to the next one; any other end of Python ends them."""
    session = current_session()
    if session is not None and _is_restart():
        session.leave()
    else:
        close_session()


def _is_restart() -> bool:
    """Whether this is a Jupyter kernel that is asked to restart. ipykernel tells nobody, but keeps its answer."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    answer = getattr(getattr(shell, "kernel", None), "_shutdown_message", None) or {}
    return bool(answer.get("content", {}).get("restart", False))
