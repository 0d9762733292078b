"""The ledger lane's hand for the fleet: reads what earlier jobs and boots took."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.errors import LedgerError
from autopod_nb.session.effects import ReadRuns
from autopod_nb.session.events import Message, RunsSeen
from autopod_nb.session.fleet_learn import learn
from autopod_nb.session.fleet_state import Known
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.ran import booted, ran

_log = logging.getLogger(__name__)


def read_known(ledger: Ledger, provider: str, templates: Mapping[str, WorkflowTemplate]) -> Known:
    """What earlier jobs of these templates took, and boots at a provider. Any thread.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    rows = [row for name in templates for row in ran(ledger, name)]
    return learn(templates, rows, booted(ledger, provider))


class FleetWork:
    """Reads. Used by the ledger lane only, so that it sees what was written before.

    Args:
        ledger: open.
        provider: name of the provider whose boots count.
        post: puts a message into the session's inbox.
    """

    def __init__(self, ledger: Ledger, provider: str, post: Callable[[Message], None]) -> None:
        self._ledger = ledger
        self._provider = provider
        self._post = post

    def read(self, effect: ReadRuns) -> None:
        """Tell what jobs of these templates took, and boots; a ledger that cannot be read holds nobody up."""
        known: Known | None = None
        try:
            known = read_known(self._ledger, self._provider, effect.templates)
        except LedgerError as error:
            _log.warning("what earlier jobs took cannot be read: %s", error)
        self._post(RunsSeen(known=known))
