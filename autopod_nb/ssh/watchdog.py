"""The watchdog on a pod: a shell script of ours that ends the pod, with nobody's help, when it has been forgotten.

It is the last layer of the money safety and the weakest: a pod's own key may be refused, and it dies with its
container. So arming says what is known, and nothing else may rely on it. What it does stands in ``watchdog.sh``.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from autopod_nb.errors import SshError
from autopod_nb.ssh.line import CommandResult, SshConnection, quote

_NAME = "watchdog.sh"
_ARM_S = 90.0  # the script itself waits 10 s for its loop and up to 30 s for an answer of the provider
_COMMAND_S = 30.0
_LOG_BYTES = 1 << 20
_HISTORY_BYTES = 64 << 20

_CANNOT_START = "The watchdog could not be started on the pod: {reason}."
_RUNS = "The watchdog runs on the pod"
_WORDS = {
    "200": f"{_RUNS}; the pod's key may read its own pod, stopping may still be refused.",
    "401": f"{_RUNS}, but the pod's key is refused (401): do not rely on it.",
    "403": f"{_RUNS}, but the pod's key is refused (403): do not rely on it.",
    "keyless": f"{_RUNS}, but the pod has no key or id of its own: it can hardly stop it.",
    "unreadable": f"{_RUNS}; the pod's variables cannot be read, so it is not known whether it can stop it.",
    "none": f"{_RUNS}; the provider did not answer it, so it is not known whether it can stop the pod.",
}
_OTHER_WORDS = f"{_RUNS}; the provider answered it with {{check}}, so it is not known whether it can stop the pod."
_CAN_ACT = {"200": True, "401": False, "403": False, "keyless": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogOrder:
    """What a watchdog is told.

    Attributes:
        quiet_minutes: it acts when nobody has called for so long and ComfyUI's queue is empty; three times as long if
            the queue cannot be read.
        deadline: by the pod's clock, aware; it acts then whatever the pod does, for the budget is spent. It is a point
            in time and no duration, so that nothing that starts anew extends it.
        comfyui_port: on the pod's loopback.
        environ_path: file with the pod's variables, NUL separated, as ``/proc/1/environ``.
        folder: absolute, on the pod's persistent mount; its state and its log lie there.
        terminate: end the pod for good; otherwise it is stopped, so that results on its volume stay.
        api_base_url: what serves ``/v2`` and ``/graphql``.

    Raises:
        ValueError: a value that the script could not work with.
    """

    quiet_minutes: Decimal
    deadline: datetime | None
    comfyui_port: int
    environ_path: str
    folder: str
    terminate: bool
    api_base_url: str = "https://api.runpod.io"

    def __post_init__(self) -> None:
        """Refuse what would make the script do nothing, or something else."""
        if not Decimal(1) <= self.quiet_minutes * 60 < Decimal(10) ** 9:
            raise ValueError(f"quiet_minutes must be one second at least, not {self.quiet_minutes} minutes.")
        for path in (self.folder, self.environ_path):
            if not path.startswith("/") or not path.isprintable():
                raise ValueError(f"{path!r} must be an absolute path of printable characters.")
        if not self.api_base_url.startswith(("http://", "https://")) or not self.api_base_url.isprintable():
            raise ValueError(f"{self.api_base_url!r} is not the address of an API.")
        _epoch(self.deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogReport:
    """What is known of a watchdog at arming time.

    Attributes:
        running: whether the script runs on the pod.
        can_act: whether the pod's key may read its own pod, which is as near as one gets without stopping it; False
            also if it has none; None if it could not be told.
        words: one line for a person.
    """

    running: bool
    can_act: bool | None
    words: str


def arm(connection: SshConnection, order: WatchdogOrder) -> WatchdogReport:
    """Put the watchdog on the pod and start it; one that runs in the same folder already is replaced.

    Safe to call again at any time, also from another process: the last one counts, and if it cannot be started the
    older one goes on. Takes up to 40 s if the provider does not answer the pod.

    Raises:
        SshError: the connection is lost, or the script cannot be written on the pod.
    """
    script = Path(__file__).with_name(_NAME).read_bytes()
    return _report(_run(connection, _start(order, len(script)), "armed", timeout_s=_ARM_S, stdin=script))


def beat(connection: SshConnection, folder: str) -> None:
    """Tell the watchdog that somebody still cares for the pod. One command; to be called a few times a quiet time.

    What it writes is the pod's own time, so that the clocks of two machines are never compared.

    Raises:
        SshError: the connection is lost, no watchdog runs in this folder, or the folder cannot be written.
    """
    _run(connection, f"sh {quote(posixpath.join(folder, _NAME))} beat {quote(folder)}", "told that somebody calls")


def change(connection: SshConnection, folder: str, *, deadline: datetime | None, terminate: bool) -> None:
    """Give the watchdog a new deadline and say how it is to end the pod; it reads that at its next look.

    Looks are 15 s apart, and up to 5 minutes once it was refused an end of the pod.

    Raises:
        SshError: the connection is lost, or no watchdog was armed in this folder.
        ValueError: the deadline is not aware.
    """
    limits = quote(f"{_epoch(deadline)} {_mode(terminate=terminate)}")
    there = quote(posixpath.join(folder, "limits"))
    _run(connection, f"[ -f {there} ] && echo {limits} >{there}.$$ && mv -f {there}.$$ {there}", "changed")


def read_history(connection: SshConnection, folder: str) -> Mapping[str, object]:
    """What ComfyUI's ``/history`` said when the watchdog of this folder last ended its pod: prompt id → entry.

    Empty where it never did, or where what it kept cannot be read as JSON.

    Raises:
        SshError: the connection is lost.
    """
    path = quote(posixpath.join(folder, "history"))
    command = f"[ ! -f {path} ] || cat {path}"
    found = connection.run(command, _COMMAND_S, max_output_bytes=_HISTORY_BYTES)
    try:
        entries = json.loads(found.stdout.decode(errors="replace"))
    except ValueError:
        return {}
    return entries if isinstance(entries, dict) else {}


def _start(order: WatchdogOrder, size: int) -> str:
    """A command that takes a script of *size* bytes from its input, puts it in place and starts it."""
    path = quote(posixpath.join(order.folder, _NAME))
    words = [
        order.folder,
        str(int(order.quiet_minutes * 60)),
        str(order.comfyui_port),
        order.environ_path,
        order.api_base_url.rstrip("/"),
        _epoch(order.deadline),
        _mode(terminate=order.terminate),
    ]
    # Half a script must never be started, and a shell must not see its script change while it reads it.
    return (
        f"umask 077 && mkdir -p {quote(order.folder)} && cat >{path}.$$ && [ $(($(wc -c <{path}.$$))) -eq {size} ] &&"
        f" mv -f {path}.$$ {path} && exec sh {path} start {' '.join(map(quote, words))}"
    )


def _run(
    connection: SshConnection, command: str, done: str, *, timeout_s: float = _COMMAND_S, stdin: bytes = b""
) -> CommandResult:
    """Run a command that must succeed.

    Raises:
        SshError: it did not.
    """
    found = connection.run(command, timeout_s, stdin=stdin, max_output_bytes=_LOG_BYTES)
    if found.exit_status != 0:
        reason = found.stderr.decode(errors="replace").strip()[:300] or f"exit status {found.exit_status}"
        raise SshError(f"The watchdog on the pod could not be {done}: {reason}")
    return found


def _report(found: CommandResult) -> WatchdogReport:
    """What ``watchdog.sh start`` says: lines of a name and a word."""
    said = dict(line.split(" ", 1) for line in found.stdout.decode(errors="replace").splitlines() if " " in line)
    if said.get("running") != "yes":
        reason = found.stderr.decode(errors="replace").strip()[:300] or "its log on the pod says more"
        return WatchdogReport(running=False, can_act=None, words=_CANNOT_START.format(reason=reason))
    check = said.get("check", "none")
    words = _WORDS.get(check) or _OTHER_WORDS.format(check=check)
    return WatchdogReport(running=True, can_act=_CAN_ACT.get(check), words=words)


def _epoch(moment: datetime | None) -> str:
    """Seconds since 1970, as the script knows a deadline.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment is None:
        return "none"
    if moment.tzinfo is None:
        raise ValueError(f"the deadline {moment} has no time zone; it must be in UTC.")
    return str(int(moment.timestamp()))


def _mode(*, terminate: bool) -> str:
    return "terminate" if terminate else "stop"
