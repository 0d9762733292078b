"""The folder of one pod on this machine: what was ordered, which process it is, how it went, what it cost."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from autopod_nb.models.money import cost_usd
from autopod_nb.models.pod import PodAddress

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BILL_NAME = "billing.jsonl"
_LOOKS, _LOOK_S = 100, 0.01
_PAUSE = threading.Event()
_WORDS_LENGTH = 500  # characters of a log line that fit into a message


@dataclass(frozen=True, slots=True)
class PodFolder:
    """Reads and writes the files of one pod. Two processes may do that at the same time.

    Attributes:
        root: the folder of all pods, which holds the bill, too.
        name: of the pod and of its folder.
    """

    root: Path
    name: str

    @property
    def path(self) -> Path:
        """Where the pod's files lie."""
        return self.root / self.name

    @property
    def exists(self) -> bool:
        """Whether there is such a folder. A name that leads anywhere else is never one."""
        return _NAME.fullmatch(self.name) is not None and self.path.is_dir()

    @property
    def ordered(self) -> bool:
        """Whether the pod was made."""
        return self.exists and (self.path / "order.json").exists()

    @property
    def lease(self) -> Path:
        """The file whose renewal keeps the pod alive."""
        return self.path / "lease"

    def make(self, order: Mapping[str, object]) -> None:
        """Make the folder and write the order.

        Raises:
            FileExistsError: there is one.
            OSError: no room, no right.
            ValueError: the name is not a file name.
        """
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot be the name of a pod: letters, digits, '.', '_' and '-' only.")
        self.path.mkdir(parents=True, mode=0o700)
        self._write("order.json", order)

    def remove(self) -> None:
        """Remove the folder with all that is in it. One of many who do that at once does it; for the others it is gone.

        Raises:
            OSError: something of it is left.
        """
        if not self.exists:
            return
        aside = self.root / f".ended-{os.urandom(6).hex()}"  # not a pod's name; a lease written now finds no folder
        try:
            self.path.rename(aside)
        except FileNotFoundError:
            return
        shutil.rmtree(aside)

    def order(self) -> dict[str, object]:
        """What was ordered."""
        return self._read("order.json")

    def address(self) -> PodAddress | None:
        """How to reach the pod, None until it is up."""
        facts = self._read("pod.json")
        if not facts:
            return None
        return PodAddress(
            host="127.0.0.1",
            port=int(str(facts["ssh_port"])),
            user="root",
            comfyui_port=int(str(facts["comfyui_port"])),
            comfyui_dir=str(facts["comfyui_dir"]),
            environ_path=str(facts["environ_path"]),
            host_key_sha256=str(facts["host_key_sha256"]),
        )

    def forget_run(self) -> None:
        """Remove what the last run said of itself."""
        for name in ("pod.json", "process.json", "stopped"):
            (self.path / name).unlink(missing_ok=True)

    def write_pid(self, pid: int) -> None:
        """Keep which process the pod is, for other processes to see."""
        self._write("process.json", {"pid": pid})

    def pid(self) -> int | None:
        """The process of the pod, None if it does not run."""
        pid = self._read("process.json").get("pid")
        return pid if isinstance(pid, int) and self.is_pod(pid) else None

    def is_pod(self, pid: int) -> bool:
        """Whether this process is alive and is the pod of this folder: process ids are used again."""
        try:
            os.kill(pid, 0)
            command = _command_line(pid)
        except (ProcessLookupError, PermissionError):
            return False
        except OSError:  # no /proc on this system, or gone between the two looks
            return not Path("/proc").exists()
        return b"\0--dir\0" + os.fsencode(self.path) + b"\0" in command

    @property
    def was_stopped(self) -> bool:
        """Whether somebody stopped the pod, rather than that it ended by itself."""
        return (self.path / "stopped").exists()

    def mark_stopped(self) -> None:
        """Keep that the pod ends because somebody wants it."""
        (self.path / "stopped").touch()

    def last_lines(self, lines: int) -> tuple[str, ...]:
        """The end of the pod program's log."""
        return _tail(self.path / "pod.log", lines)

    def last_words(self) -> str:
        """The last line that the pod wrote before it ended; empty if there is none."""
        for name in ("boot.log", "pod.log"):
            found = [line for line in _tail(self.path / name, 20) if line.strip()]
            if found:
                return found[-1].strip()[:_WORDS_LENGTH]
        return ""

    def open_stretch(self, since: datetime, price_per_hour_usd: Decimal) -> None:
        """From now on the pod costs this."""
        self._write("stretch.json", {"since": since.isoformat(), "price": str(price_per_hour_usd)})

    def close_stretch(self, end: datetime) -> None:
        """Book the stretch that was open into the simulated bill, once, whoever else does so at the same time."""
        taken = self.root / f".stretch-{os.urandom(6).hex()}.json"  # outside: another may remove the folder just now
        try:
            (self.path / "stretch.json").rename(taken)
        except FileNotFoundError:
            return
        stretch = _object_in(taken)
        since = datetime.fromisoformat(str(stretch["since"]))
        seconds = max(Decimal(0), Decimal(str((end - since).total_seconds())))
        amount = cost_usd(Decimal(str(stretch["price"])), seconds)
        row = [self.name, since.isoformat(), max(since, end).isoformat(), str(amount)]
        with (self.root / _BILL_NAME).open("a") as bill:
            bill.write(json.dumps(row) + "\n")
        taken.unlink()

    def _read(self, name: str) -> dict[str, object]:
        """The object in a file, or an empty one while there is none."""
        return _object_in(self.path / name)

    def _write(self, name: str, content: Mapping[str, object]) -> None:
        """Write a file whole or not at all: others may read it just now."""
        part = self.path / f".{name}.{os.urandom(6).hex()}"
        part.write_text(json.dumps(content))
        part.replace(self.path / name)


def _object_in(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_bill(root: Path) -> list[list[str]]:
    """Name, start, end, amount of each stretch that is over, in order of their ends.

    Raises:
        OSError: it cannot be read.
        ValueError: somebody else wrote into it.
    """
    try:
        lines = (root / _BILL_NAME).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def _command_line(pid: int) -> bytes:
    """As the system tells it: for a moment nothing, while a process becomes the program that it was started as.

    Raises:
        OSError: there is no such process, or no /proc.
    """
    for _ in range(_LOOKS):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if command or _has_ended(pid):
            return command
        _PAUSE.wait(_LOOK_S)
    return b""


def _has_ended(pid: int) -> bool:
    """Whether only its exit status is left."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"


def _tail(path: Path, lines: int) -> tuple[str, ...]:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-lines:]) if lines > 0 else ()
