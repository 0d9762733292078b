"""Several lanes that carry the pieces of an upload at the same time."""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from io import FileIO

from autopod_nb.errors import TransferError
from autopod_nb.ssh.content import Content
from autopod_nb.ssh.lanes import LANES, lanes_of
from autopod_nb.ssh.line import SshConnection, quote
from autopod_nb.ssh.pace import Pace
from autopod_nb.ssh.pod_shell import PARTS
from autopod_nb.ssh.send_plan import Bundle, Piece, part_of
from autopod_nb.ssh.shell import BLOCK_BYTES, Shell, put, stretch, take
from autopod_nb.threads import ServiceThread

_CHUNK_BYTES = 4 * ((32 << 10) - 64)  # four packets of OpenSSH's size, filled to the last byte as paramiko cuts them
_TAR_BLOCK = 512
_LOOK_S = 0.5
_JOIN_S = 20.0  # for lanes that end after a fault; the longest that they hang in is the opening of a channel


class Sending:
    """Brings pieces and bundles into the :data:`PARTS` of a folder of the pod.

    A piece is verified there by SHA-256, while others travel; whether a bundle came right is for others to see.

    Args:
        connection: to the pod.
        folder: on the pod; it and its PARTS are there.
        pace: of the whole transfer.
    """

    def __init__(self, connection: SshConnection, folder: str, pace: Pace) -> None:
        self._connection = connection
        self._lanes = lanes_of(connection)
        self._parts = f"{folder}/{PARTS}"
        self._pace = pace
        self._lock = threading.Lock()
        self._left: deque[Piece | Bundle] = deque()
        self._fault: BaseException | None = None

    def run(self, tasks: Sequence[Piece | Bundle]) -> None:
        """Send all of them. May be called once.

        Raises:
            TransferError, SshError: what went wrong first; nothing of it goes on then.
        """
        self._left.extend(tasks)
        helpers = [ServiceThread("autopod-upload", self._work).start() for _ in range(min(LANES, len(tasks)) - 1)]
        self._work(threading.Event())
        with self._kept_fault():
            for helper in helpers:
                while not helper.join(_LOOK_S):  # a piece may take long on a slow line
                    self._pace.check()
        for helper in helpers:
            helper.join(_JOIN_S)
        if self._fault is not None:
            raise self._fault

    def _work(self, _: threading.Event) -> None:
        with self._kept_fault():
            while (task := self._next()) is not None:
                with self._lanes.shell(self._connection, self._pace.check) as shell:
                    if isinstance(task, Piece):
                        self._bring_piece(shell, task)
                    else:
                        self._bring_bundle(shell, task)

    @contextlib.contextmanager
    def _kept_fault(self) -> Iterator[None]:
        """The first fault of all is for who called run, and ends the others."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - it is raised there
            with self._lock:
                self._fault = self._fault or error
            self._pace.fail()

    def _next(self) -> Piece | Bundle | None:
        with self._lock:
            return self._left.popleft() if self._left else None

    def _bring_piece(self, shell: Shell, piece: Piece) -> None:
        with piece.content.open() as file:
            arrived = self._arrived(shell, piece, file) if piece.begun else 0
            if self._send_piece(shell, piece, file, arrived):
                return
            if arrived:  # what was there was no beginning of it
                self._pace.step(-piece.length)
                if self._send_piece(shell, piece, file, 0):
                    return
        piece.content.check()
        raise TransferError(f"{piece.content.path.name} arrived damaged on the pod; try again.")

    def _send_piece(self, shell: Shell, piece: Piece, file: FileIO, arrived: int) -> bool:
        """Send what has not arrived. Returns whether the whole piece is right there."""
        digest = None if piece.is_whole else hashlib.sha256()  # somebody else makes that of a whole file

        def rest() -> Iterator[tuple[bytes, int]]:
            if digest:
                file.seek(piece.start)
                for block in _exactly(file, arrived, piece.content):
                    digest.update(block)
            file.seek(piece.start + arrived)
            self._pace.step(arrived)
            for block in _exactly(file, piece.length - arrived, piece.content):
                if digest:
                    digest.update(block)
                yield block, len(block)

        words = put(part_of(piece.content), piece.start, arrived, piece.length)
        command = f"cd -- {quote(self._parts)} && {words}"
        found = shell.run(command, self._pace, rest())
        if found.status != 0:
            raise TransferError(f"{piece.content.path.name} cannot be written on the pod: {found.complaint}")
        sha256 = digest.hexdigest() if digest else piece.content.read(self._pace.check)
        return sha256.encode() in found.output

    def _arrived(self, shell: Shell, piece: Piece, file: FileIO) -> int:
        """How many of its bytes are on the pod already.

        What has not come reads as zeros there, so that counting the others says how far it came, whatever cut it.
        """
        words = stretch(part_of(piece.content), piece.start, piece.length)
        command = f"cd -- {quote(self._parts)} && {words} | LC_ALL=C tr -d '\\000' | wc -c"
        count = int(shell.run(command, self._pace).output.decode(errors="replace").strip() or 0)
        arrived = 0
        file.seek(piece.start)
        while data := file.read(min(BLOCK_BYTES, piece.length - arrived)):
            count -= len(data) - data.count(0)
            if count < 0:
                break
            arrived += len(data)
        return arrived

    def _bring_bundle(self, shell: Shell, bundle: Bundle) -> None:
        size = sum(_TAR_BLOCK + each.size + -each.size % _TAR_BLOCK for each in bundle.contents) + 2 * _TAR_BLOCK
        command = f"cd -- {quote(self._parts)} && {take(size)} 2>/dev/null | tar -xmof -"
        found = shell.run(command, self._pace, _archive(bundle))
        if found.status != 0:
            raise TransferError(f"The files cannot be written on the pod: {found.complaint}")


def _archive(bundle: Bundle) -> Iterator[tuple[bytes, int]]:
    """The files as ``tar`` reads them, in blocks that fill whole packets, each with the bytes of files in it."""
    held, count = bytearray(), 0
    for each in bundle.contents:
        header = tarfile.TarInfo(each.name)
        header.size, header.mode = each.size, 0o644
        held += header.tobuf(tarfile.GNU_FORMAT)
        with each.open() as file:
            for block in _exactly(file, each.size, each):
                held += block
                count += len(block)
                if len(held) >= _CHUNK_BYTES:
                    yield bytes(held), count
                    held, count = bytearray(), 0
        held += b"\0" * (-each.size % _TAR_BLOCK)
    yield bytes(held) + b"\0" * 2 * _TAR_BLOCK, count


def _exactly(file: FileIO, count: int, content: Content) -> Iterator[bytes]:
    """The next *count* bytes of a file."""
    while count:
        data = file.read(min(_CHUNK_BYTES, count))
        if not data:
            raise TransferError(f"{content.path} became shorter while it was sent; try again.")
        count -= len(data)
        yield data
