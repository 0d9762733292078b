"""Results on their way home: names, places, and a download that is whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from autopod_nb.clock import Deadline
from autopod_nb.comfyui.client import ComfyClient
from autopod_nb.comfyui.download import Download
from autopod_nb.comfyui.part_file import Arrival, part_file
from autopod_nb.comfyui.verification import verify
from autopod_nb.errors import AnswerLost, ComfyError, TransferError
from autopod_nb.models.job import RemoteFile, ResultFile, Verified

_LONGEST_NAME_BYTES = 200  # file systems take 255; room for -00001, -2 and the name of the part file
_LONGEST_SUFFIX = 16
_NAMELESS = "result"
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
_SAME_KIND = {".jpeg": ".jpg", ".tiff": ".tif"}
_KNOWN_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,7}")
_TRIES = 3  # without a piece that is new
_PAUSE_S = 0.3


def safe_name(name: str) -> str:
    """One plain file name, whatever a server calls a file; applied twice it changes nothing more.

    Only the last part of a path is kept. Never empty, hidden, ``..``, longer than 200 bytes or a name that Windows
    reserves, and without separators, drive letters, control and direction characters.
    """
    last = re.split(r"[/\\]", name)[-1]
    last = re.sub(r"^[A-Za-z]:", "", last)
    shown = "".join("_" if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") else char for char in last)
    shown = "".join(char for char in shown if unicodedata.category(char) != "Cf")
    shown = _FORBIDDEN.sub("_", shown)
    shown = _shortened(shown.lstrip(". ")).rstrip(". ")
    if _RESERVED.match(shown):
        shown = f"_{shown}"
    return shown or _NAMELESS


def _shortened(name: str) -> str:
    """At most 200 bytes in UTF-8, with its suffix."""
    if len(name.encode()) <= _LONGEST_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        stem, dot, suffix = name, "", ""
    room = _LONGEST_NAME_BYTES - len((dot + suffix).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + suffix


def targets(wanted: Path | str, files: Sequence[RemoteFile]) -> list[Path]:
    """Where the files of one output go, in the same order, each at a path of its own.

    Several files get ``-00001``, ``-00002`` …. The kind of file that the server made wins over the kind that was
    asked for, so that no WebP is called ``.mp4``.

    Args:
        wanted: a file; or a folder, if it is text that ends with a slash, or exists as one: then the files keep their
            names on the server, as far as those are safe.
    """
    names = [safe_name(file.filename) for file in files]
    if str(wanted).endswith(("/", os.sep)) or Path(wanted).is_dir():
        return _distinct([Path(wanted) / name for name in names])
    path = Path(wanted)
    if len(files) == 1:
        return [_with_kind(path, names[0], "")]
    return [_with_kind(path, name, f"-{number:05}") for number, name in enumerate(names, start=1)]


def _with_kind(path: Path, server_name: str, number: str) -> Path:
    kind = Path(server_name).suffix
    asked = path.suffix
    if not kind or _same_kind(kind, asked):
        return path.with_name(f"{path.stem}{number}{asked}")
    stem = path.stem if _KNOWN_SUFFIX.fullmatch(asked) else path.name  # "shot.2" has no kind
    return path.with_name(f"{stem}{number}{kind}")


def _same_kind(kind: str, other: str) -> bool:
    kind, other = kind.lower(), other.lower()
    return _SAME_KIND.get(kind, kind) == _SAME_KIND.get(other, other)


def _distinct(paths: list[Path]) -> list[Path]:
    """The same paths, with ``-2`` … where one occurs again; letter case makes no difference."""
    seen: set[str] = set()
    result = []
    for path in paths:
        free = next(name for name in _numbered(path) if str(name).casefold() not in seen)
        seen.add(str(free).casefold())
        result.append(free)
    return result


def _numbered(path: Path) -> Iterator[Path]:
    """``a.png``, ``a-2.png``, ``a-3.png`` …."""
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1


def place(part: Path, target: Path) -> Path:
    """Give a finished file its name, in one step that a crash cannot divide; what is there already is never replaced.

    Args:
        part: the file, in the same folder; that name is gone afterwards.
        target: the name it is to have; if it is taken, also by somebody at the same moment, ``-2``, ``-3`` ….

    Returns:
        The name that it has.
    """
    for free in _numbered(target):
        try:
            try:
                os.link(part, free)
            except FileExistsError:
                raise
            except OSError:  # a file system without links: reserve the name, then replace our own reservation
                os.close(os.open(free, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                part.replace(free)
            else:
                part.unlink()
        except FileExistsError:
            continue
        _sync_folder(free.parent)
        return free
    raise AssertionError("there is always a next number")  # pragma: no cover - the names never end


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def download(
    client: ComfyClient,
    remote: RemoteFile,
    target: Path,
    *,
    expected_sha256: str | None,
    deadline: Deadline,
    output: str = "",
    on_bytes: Callable[[int, int | None], None] | None = None,
) -> ResultFile:
    """Fetch a file into a hidden part file beside *target*, check it, and only then give it its name.

    After a cut it asks for the rest; it gives up after three tries without a new piece. Where the checksum is known,
    what has come by then is kept, and the next call goes on from there. What failed otherwise leaves nothing.

    Args:
        target: where it shall lie; the folder is made; a name that is taken gets ``-2``.
        expected_sha256: hex digest taken on the pod; without it the size counts, and a full decode.
        deadline: for all of it but the decoding.
        output: name of the output in the job.
        on_bytes: called with the bytes that are here and the size, if known; in the caller's thread.

    Raises:
        TransferError: it did not arrive whole, or cannot be written.
    """
    with _telling_where(target), part_file(target, expected_sha256) as (path, file):
        arrival = Arrival(file)
        _bring(client, remote, arrival, expected_sha256=expected_sha256, deadline=deadline, on_bytes=on_bytes)
        file.flush()
        os.fsync(file.fileno())
        digest = arrival.digest.hexdigest()
        if expected_sha256 is None:
            verified = verify(path, target.suffix)
        elif arrival.is_whole(expected_sha256):
            verified = Verified.SHA256
        else:
            raise TransferError(f"{remote.filename!r} came with another checksum than it has on the pod: not kept.")
        return ResultFile(
            output=output,
            path=place(path, target),
            bytes=arrival.size,
            sha256=digest,
            verified=verified,
            source=remote,
        )


def _bring(
    client: ComfyClient,
    remote: RemoteFile,
    arrival: Arrival,
    *,
    expected_sha256: str | None,
    deadline: Deadline,
    on_bytes: Callable[[int, int | None], None] | None,
) -> None:
    """Fetch what is not here yet. What an earlier try left counts only if the whole turns out right."""
    if arrival.size and not arrival.is_whole(expected_sha256):
        try:
            _fetch(client, remote, arrival, deadline, on_bytes)
        except TransferError as error:
            if isinstance(error.__cause__, AnswerLost):
                raise
        if not arrival.is_whole(expected_sha256):
            arrival.restart()
    if not arrival.size:
        _fetch(client, remote, arrival, deadline, on_bytes)


def _fetch(
    client: ComfyClient,
    remote: RemoteFile,
    arrival: Arrival,
    deadline: Deadline,
    on_bytes: Callable[[int, int | None], None] | None,
) -> None:
    tries = 0
    while True:
        before = arrival.size
        try:
            with client.view(remote, start=arrival.size, timeout_s=deadline.left_s()) as answer:
                if _receive(answer, arrival, deadline, on_bytes):
                    return
                lost: ComfyError = AnswerLost("it came shorter than announced, or changed meanwhile.")
        except AnswerLost as error:
            lost = error
        except ComfyError as error:
            raise TransferError(f"{remote.filename!r} cannot be fetched: {error}") from error
        if deadline.passed:
            raise TransferError(f"{remote.filename!r} did not arrive in time: {arrival.size:,} bytes came.") from lost
        tries = 0 if arrival.size > before else tries + 1
        if tries >= _TRIES:
            raise TransferError(f"{remote.filename!r} did not arrive whole, {_TRIES} tries: {lost}") from lost
        client.pause(min(_PAUSE_S * tries, deadline.left_s()))


def _receive(
    answer: Download, arrival: Arrival, deadline: Deadline, on_bytes: Callable[[int, int | None], None] | None
) -> bool:
    """Take what comes. Returns whether the file is whole now."""
    changed = arrival.size and arrival.etag not in (None, answer.etag)
    if changed or answer.start != arrival.size or arrival.size > (answer.total_bytes or arrival.size):
        arrival.restart()
        if answer.start:
            return False  # a part of something else: ask again, from the first byte
    arrival.etag = answer.etag
    for piece in answer:
        arrival.add(piece)
        if on_bytes is not None:
            on_bytes(arrival.size, answer.total_bytes)
        if deadline.passed:
            return False
    return answer.total_bytes is None or arrival.size == answer.total_bytes


@contextmanager
def _telling_where(target: Path) -> Iterator[None]:
    """Turn what a file system refuses into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            said = f"No space left for {target}: free some, then collect the result again."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            said = f"{target} cannot be written: no right to write in {target.parent}."
        else:
            said = f"{target} cannot be written: {error.strerror or error}."
        raise TransferError(said) from error
