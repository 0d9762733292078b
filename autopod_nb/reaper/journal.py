"""The reaper's own log, ``AUTOPOD_HOME/logs/reaper.log``.

Not that of the kernels: a rotating file of Python's is for one process. When one process has renamed it, another
goes on writing into the renamed file, finds that too long, and renames the new one at once.
"""

from __future__ import annotations

import logging
import logging.handlers
from io import TextIOWrapper
from pathlib import Path

from autopod_nb.log import RedactingFormatter, open_private

_MAX_BYTES = 1_000_000
_KEPT_FILES = 2
_FORM = "%(asctime)s %(levelname)-7s %(process)d %(threadName)s %(name)s: %(message)s"


class _Rotating(logging.handlers.RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        return open_private(self.baseFilename)


class _Following(logging.handlers.WatchedFileHandler):
    """Never rotates, and opens the file anew when the other process has done so."""

    def _open(self) -> TextIOWrapper:
        return open_private(self.baseFilename)


def open_journal(home: Path, *, rotates: bool) -> Path:
    """Let everything below ``autopod_nb`` write there.

    Args:
        home: ``AUTOPOD_HOME``.
        rotates: for the worker, which writes nearly all; the supervisor follows.

    Returns:
        The path of the file.

    Raises:
        OSError: it cannot be made.
    """
    path = home / "logs" / "reaper.log"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler: logging.Handler
    if rotates:
        handler = _Rotating(path, maxBytes=_MAX_BYTES, backupCount=_KEPT_FILES, encoding="utf-8")
    else:
        handler = _Following(path, encoding="utf-8")
    handler.setFormatter(RedactingFormatter(_FORM))
    logger = logging.getLogger("autopod_nb")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return path
