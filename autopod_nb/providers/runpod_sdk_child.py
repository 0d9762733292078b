"""The official ``runpod`` package in a process of its own: JSON lines in, JSON lines out.

Importing the package takes 1.5 s and 62 MB, starts programs and changes log levels, so nobody but this program does
it. It is ``python -m autopod_nb.providers.runpod_sdk_child``, started by ``runpod_sdk_process`` and by nobody else.

::

    in   {"key": "…", "parent": 123}                         once, first
    out  {"id": 0, "result": "1.12.0"}                       the package is there
    in   {"id": 1, "call": "get_pod", "given": {…}}
    out  {"id": 1, "result": …}                              in any order
    out  {"id": 1, "error": {"kind": "QueryError", "text": "…", "is_sent": true}}

It ends when its input ends, or when its parent is another one.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any, BinaryIO

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

CALLS = frozenset({"get_user", "get_pods", "get_pod", "create_pod", "stop_pod", "resume_pod", "terminate_pod"})
"""All that may be called; nothing here makes pods without a GPU."""
READY_ID = 0
_PARENT_LOOK_S = 1.0
_TEXT_CHARS = 1000


class Program:
    """Calls functions of the package, each in a thread of its own, so that an end never waits behind an order.

    Args:
        package: the imported module.
        out: where answers go.
    """

    def __init__(self, package: Any, out: BinaryIO) -> None:
        self._package = package
        self._out = out
        self._lock = threading.Lock()

    def serve(self, lines: BinaryIO) -> None:
        """Answer every line until there are no more."""
        for line in lines:
            asked = json.loads(line)
            threading.Thread(target=self._answer, args=(asked,), daemon=True).start()

    def _answer(self, asked: Mapping[str, Any]) -> None:
        try:
            result = self._function(asked["call"])(**asked["given"])
        except Exception as error:  # noqa: BLE001 - the package raises whatever comes: KeyError, JSONDecodeError
            self.tell({"id": asked["id"], "error": told(error)})
        else:
            self.tell({"id": asked["id"], "result": result})

    def _function(self, name: str) -> Any:
        if name not in CALLS:
            raise LookupError(f"{name!r} is not to be called")
        return getattr(self._package, name)

    def tell(self, answer: Mapping[str, Any]) -> None:
        """Write one line; whoever does not listen any more is gone, and so is the reason to live."""
        line = json.dumps(answer, default=str).encode() + b"\n"
        try:
            with self._lock:
                self._out.write(line)
                self._out.flush()
        except OSError:
            os._exit(0)


def told(error: BaseException) -> dict[str, Any]:
    """An exception as it goes over the line. Never ``QueryError.query``, which holds every variable of the pod."""
    text = str(getattr(error, "message", None) or error)  # the package's own str() fails for what is no text
    return {"kind": type(error).__name__, "text": text[:_TEXT_CHARS], "is_sent": not _was_never_sent(error)}


def _was_never_sent(error: BaseException) -> bool:
    """Whether no byte of the request can have reached the service: there was no connection."""
    if isinstance(error, (ImportError, requests.ConnectTimeout)):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _take_lines() -> tuple[BinaryIO, BinaryIO]:
    """Input and output for us alone.

    The package prints, and starts programs that inherit 0 and 1: those lead to nothing and to the errors from now on.
    """
    lines, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return lines, out


def _follow(parent: int) -> None:
    """End with the parent, even if somebody else has inherited its end of the line and keeps it open."""
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(_PARENT_LOOK_S)
    os._exit(0)


def _load(key: str) -> Any:
    """The package with the key, which it takes from nowhere else but a file of its own.

    Raises:
        ImportError: it is not installed, or something that it needs is not.
    """
    here = ("", str(os.getcwd()))  # noqa: PTH109 - compared with texts; -m puts it there: a notebook's folder may
    sys.path[:] = [folder for folder in sys.path if folder not in here]  # hold a runpod.py
    package: Any = importlib.import_module("runpod")
    package.api_key = key
    return package


def main() -> None:
    """Run until the input ends."""
    lines, out = _take_lines()
    first = json.loads(lines.readline() or b"{}")
    if not first:
        return
    threading.Thread(target=_follow, args=(first["parent"],), daemon=True).start()
    try:
        package = _load(first["key"])
    except Exception as error:  # noqa: BLE001 - an import may raise anything, and the parent must hear of it
        Program(None, out).tell({"id": READY_ID, "error": told(error)})
        return
    program = Program(package, out)
    program.tell({"id": READY_ID, "result": str(getattr(package, "__version__", ""))})
    program.serve(lines)
    out.close()
    os._exit(0)  # calls that are under way end with us; the package's own exit handlers have nothing to do


if __name__ == "__main__":
    main()
