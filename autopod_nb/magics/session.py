"""The session that a verb acts on."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

from typing import TYPE_CHECKING

from autopod_nb.errors import UsageError

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session


def running_session() -> Session:
    """The session of this process.

    Raises:
        UsageError: nothing has opened one yet.
    """
    from autopod_nb.session.build import current_session

    session = current_session()
    if session is None:
        raise UsageError("There is no session yet: `%autopod connect` rents a pod.")
    return session
