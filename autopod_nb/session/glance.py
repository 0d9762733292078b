"""A look at the ledger for ``%load_ext`` and after an interrupt: cheap, asks nobody, makes and changes nothing."""

from __future__ import annotations

import sys

from autopod_nb.config import LEDGER_NAME, read_home


def other_pods_that_may_bill() -> tuple[str, ...]:
    """Our ids of the pods that are not known to be gone and that the session of this process does not have.

    Raises:
        ConfigError: ``AUTOPOD_HOME`` cannot be a folder.
        LedgerError: the ledger cannot be read.
    """
    path = read_home() / LEDGER_NAME
    if not path.exists():
        return ()
    from autopod_nb.storage.glance import pod_ids_that_may_bill  # noqa: PLC0415 - most often there is nothing to read

    build = sys.modules.get("autopod_nb.session.build")
    session = build.current_session() if build is not None else None
    ours = () if session is None else session.snapshot.pods
    return tuple(pod_id for pod_id in pod_ids_that_may_bill(path) if pod_id not in ours)
