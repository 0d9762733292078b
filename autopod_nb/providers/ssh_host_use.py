"""The machines of the user's own that are in use: a record each in ``AUTOPOD_HOME/ssh_host``."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from autopod_nb.errors import Gone, NoCapacity, ProviderError, Uncertain
from autopod_nb.models.pod import ObservedState, PodAddress, PodRecord

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """That a machine is in use, and all that is needed to reach it, though the settings may have changed since.

    Attributes:
        host: of its SSH server.
        port: likewise.
        user: who logs in.
        comfyui_dir: its folder there; empty to look for it.
        comfyui_port: its port there; 0 likewise.
        price_per_hour_usd: as text, so that no digit is lost.
        created: ISO 8601, UTC.
    """

    host: str
    port: int
    user: str
    comfyui_dir: str
    comfyui_port: int
    price_per_hour_usd: str
    created: str

    def __post_init__(self) -> None:
        """Refuse what a spoilt file may hold.

        Raises:
            TypeError: a value is of another type.
        """
        # a bool is no port; all types here are plain, so their names say it
        wrong = [each.name for each in fields(self) if type(getattr(self, each.name)).__name__ != each.type]
        if wrong:
            raise TypeError(f"{', '.join(wrong)} cannot be used")

    @property
    def machine(self) -> tuple[str, int]:
        """What makes two of them one machine."""
        return self.host.lower(), self.port

    def record(self, name: str) -> PodRecord:
        """The same as the session sees it: a machine in use always runs, as far as can be said without asking it."""
        address = PodAddress(
            host=self.host,
            port=self.port,
            user=self.user,
            comfyui_port=self.comfyui_port,
            comfyui_dir=self.comfyui_dir,
            environ_path="/proc/self/environ",  # that of process 1 is not for everybody to read here
        )
        return PodRecord(
            provider_id=name,
            name=name,
            state=ObservedState.RUNNING,
            address=address,
            price_per_hour_usd=Decimal(self.price_per_hour_usd),
            host_id=self.host,
            created=datetime.fromisoformat(self.created),
        )


class UseFolder:
    """Reads and writes the records. Several processes may do that at the same time.

    Args:
        root: the folder; made when the first machine is taken.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def take(self, name: str, use: MachineUse) -> None:
        """Write that a machine is in use.

        Raises:
            NoCapacity: it is in use under another name, or is being taken just now; nothing was written.
            Uncertain: it is in use under this name already.
            ProviderError: the record cannot be written, or another one not be read; nothing was written.
        """
        if not _NAME.fullmatch(name):
            raise ProviderError(f"{name!r} cannot be a name: letters, digits, '.', '_' and '-' only.")
        with _translated(f"{use.host} cannot be taken"):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._alone(use.host):
                self._require_free(use, name)
                self._write(name, use)

    def read(self, name: str) -> MachineUse:
        """What stands under a name.

        Raises:
            Gone: nothing.
            ProviderError: it cannot be read.
        """
        path = self._path(name)
        with _translated(f"{path} cannot be read"):
            try:
                use = MachineUse(**json.loads(path.read_text())) if _NAME.fullmatch(name) else None
            except FileNotFoundError:
                use = None
            if use is not None:
                use.record(name)  # else it would fail where nobody says which file is at fault
        if use is None:
            raise Gone(f"No machine is in use as {name}.")
        return use

    def uses(self) -> tuple[tuple[str, MachineUse], ...]:
        """All of them with their names, or none.

        Raises:
            ProviderError: the folder, or one of them, cannot be read.
        """
        with _translated("The machines in use cannot be listed"):
            try:
                files = sorted(path.name for path in self._root.iterdir())
            except FileNotFoundError:
                return ()
        found = []
        for file in files:
            name = file.removesuffix(".json")
            if name != file and _NAME.fullmatch(name):
                with contextlib.suppress(Gone):  # let go since they were listed
                    found.append((name, self.read(name)))
        return tuple(found)

    def let_go(self, name: str) -> None:
        """Remove a record. That there is none is fine.

        Raises:
            ProviderError: it is still there.
        """
        if _NAME.fullmatch(name):
            with _translated(f"{name} cannot be let go"):
                self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._root / f"{name}.json"

    def _require_free(self, use: MachineUse, name: str) -> None:
        for other, theirs in self.uses():
            if other == name:
                raise Uncertain(f"{theirs.host} is in use as {name} already.")
            if theirs.machine == use.machine:
                raise NoCapacity(
                    f"{use.host} is in use as {other}, and serves one at a time: `%autopod pods` shows whose that is."
                    f" If it is nobody's, remove {self._path(other)}."
                )

    @contextlib.contextmanager
    def _alone(self, host: str) -> Iterator[None]:
        """Nobody else takes a machine meanwhile, in this process or another. Nobody waits: all of it is short."""
        folder = os.open(self._root, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # some network file systems cannot; then two may get it
                try:
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise NoCapacity(f"{host} is being taken by another session just now.") from None
            yield
        finally:
            os.close(folder)

    def _write(self, name: str, use: MachineUse) -> None:
        """Whole or not at all: who lists meanwhile sees no half of it."""
        descriptor, part = tempfile.mkstemp(dir=self._root)  # its name ends in no .json
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(asdict(use), file)
                file.flush()
                os.fsync(file.fileno())
            Path(part).replace(self._path(name))
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    """Say in our words what the file system or a spoilt file refuses."""
    try:
        yield
    except (OSError, ValueError, TypeError, ArithmeticError) as error:
        raise ProviderError(f"{what}: {error}.") from error
