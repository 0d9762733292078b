"""What the rows about rented money share: a made-up RunPod, and a session that rents there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autopod_nb.log import close_log
from tests.fakes.service import RunpodService
from tests.session.rented_orphans import Orphans, orphans
from tests.session.rented_world import Tenant, quick_service


@contextmanager
def a_service() -> Iterator[tuple[RunpodService, Path]]:
    """The service, and a folder for whoever rents there."""
    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as folder:
        root = Path(folder)
        with quick_service(root / "it") as service:
            yield service, root


@contextmanager
def a_tenant(service: RunpodService, folder: Path) -> Iterator[Tenant]:
    """A session, closed in the end; the variables of this process are as before then."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AUTOPOD_", "RUNPOD_"))]:
            patch.delenv(name)
        tenant = Tenant(folder, service, patch, timeout_s=25.0)
        try:
            yield tenant
        finally:
            tenant.end()
            close_log()


@contextmanager
def a_home(service: RunpodService, folder: Path) -> Iterator[Orphans]:
    """A home whose owner may be killed."""
    folder.mkdir()
    with orphans(service, folder) as home:
        yield home
