"""The log file: rotating, in ``AUTOPOD_HOME/logs``, with secrets taken out."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import threading
from io import TextIOWrapper
from pathlib import Path

_ROOT = "autopod_nb"
_MAX_BYTES = 2_000_000
_KEPT_FILES = 3
_MASK = "[redacted]"
_PATTERNS = (
    re.compile(r"(?i)(authorization\W{1,4}(?:bearer|basic|token)\s+)[^\s'\",]+"),
    re.compile(r"(?i)((?:api[_-]?key|token|password|passphrase|secret)[\"']?\s*[=:]\s*[\"']?)[^\s'\",&]+"),
    re.compile(r"\b(rpa_)[A-Za-z0-9]{8,}"),
    re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL),
)
_secrets: set[str] = set()
_secrets_lock = threading.Lock()  # taken while a record is written: never together with the other lock
_lock = threading.Lock()
logging.getLogger(_ROOT).addHandler(logging.NullHandler())  # else Python prints warnings into whatever cell runs


def hide(secret: str) -> None:
    """Never let this text reach the log, an error or a panel. Short texts are ignored, for they occur by chance."""
    if len(secret) >= 6:
        with _secrets_lock:
            _secrets.add(secret)


def redact(text: str) -> str:
    """*text* without known secrets and without what looks like one."""
    with _secrets_lock:
        known = sorted(_secrets, key=len, reverse=True)
    for secret in known:
        text = text.replace(secret, _MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: found.group(1) + _MASK, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Writes no secret."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return redact(super().format(record))


def open_private(path: str) -> TextIOWrapper:
    """A file to append to, which nobody else may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """Rotates, and lets nobody else read: neither the first file nor those that follow."""

    def _open(self) -> TextIOWrapper:
        return open_private(self.baseFilename)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is Python's
        """A full disk must not print into a cell, which is what Python would do."""


def open_log(home: Path) -> Path:
    """Let everything below ``autopod_nb`` write to ``home/logs/autopod.log``. Calling it twice changes nothing.

    Returns:
        The path of the file.
    """
    path = home / "logs" / "autopod.log"
    logger = logging.getLogger(_ROOT)
    with _lock:
        for handler in _files(logger):
            if Path(handler.baseFilename) == path.absolute():
                return path
            logger.removeHandler(handler)
            handler.close()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _PrivateFile(path, maxBytes=_MAX_BYTES, backupCount=_KEPT_FILES, encoding="utf-8")
        handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)-7s %(threadName)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False  # nothing of ours may land in whatever cell runs just now
    return path


def close_log() -> None:
    """Close the file. Safe to call twice."""
    logger = logging.getLogger(_ROOT)
    with _lock:
        for handler in _files(logger):
            logger.removeHandler(handler)
            handler.close()


def _files(logger: logging.Logger) -> list[_PrivateFile]:
    return [handler for handler in logger.handlers if isinstance(handler, _PrivateFile)]


_NOT_TEXT = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


def one_line(text: str) -> str:
    """*text* on one line: without secrets, control characters, terminal colours and direction marks."""
    return " ".join(_NOT_TEXT.sub(" ", redact(text)).split())
