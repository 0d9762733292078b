"""Whether a file that came without a checksum is what its name says: a full decode, or at least its signature."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autopod_nb.errors import TransferError
from autopod_nb.models.job import Verified

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
_STREAMS = frozenset({".mp4", ".m4v", ".mov", ".webm", ".mkv", ".mp3", ".wav", ".flac", ".opus", ".ogg", ".m4a"})
_FTYP = lambda head: head[4:8] == b"ftyp"  # noqa: E731 - one row of the table below
_EBML = lambda head: head.startswith(b"\x1aE\xdf\xa3")  # noqa: E731 - the same
_SIGNATURES: dict[str, Callable[[bytes], bool]] = {
    ".png": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    ".jpg": lambda head: head.startswith(b"\xff\xd8\xff"),
    ".jpeg": lambda head: head.startswith(b"\xff\xd8\xff"),
    ".webp": lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP",
    ".gif": lambda head: head.startswith((b"GIF87a", b"GIF89a")),
    ".bmp": lambda head: head.startswith(b"BM"),
    ".tif": lambda head: head.startswith((b"II*\0", b"MM\0*")),
    ".tiff": lambda head: head.startswith((b"II*\0", b"MM\0*")),
    ".mp4": _FTYP,
    ".m4v": _FTYP,
    ".mov": lambda head: head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"),
    ".m4a": _FTYP,
    ".webm": _EBML,
    ".mkv": _EBML,
    ".mp3": lambda head: head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0),
    ".wav": lambda head: head.startswith(b"RIFF") and head[8:12] == b"WAVE",
    ".flac": lambda head: head.startswith(b"fLaC"),
    ".opus": lambda head: head.startswith(b"OggS"),
    ".ogg": lambda head: head.startswith(b"OggS"),
}
_HEAD_BYTES = 16


def verify(path: Path, kind: str) -> Verified:
    """Check a whole file whose content nobody vouches for.

    Args:
        path: where it lies now, under any name.
        kind: suffix that it is to have, such as ``.mp4``.

    Returns:
        DECODED when every frame of it could be read, SIGNATURE when only its begin is right, or when nothing here
        knows its format.

    Raises:
        TransferError: it is damaged, or something else than its name says.
    """
    kind = kind.lower()
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if kind in _SIGNATURES and not _SIGNATURES[kind](head):
        raise TransferError(f"The file that came is no {kind} file: it begins with {head.hex()}.")
    decode = _decode_picture if kind in _PICTURES else _decode_streams if kind in _STREAMS else None
    try:
        return Verified.DECODED if decode is not None and decode(path) else Verified.SIGNATURE
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what Pillow and PyAV raise for damaged files
        raise TransferError(f"The {kind} file that came is damaged: {str(error) or type(error).__name__}.") from error


def _decode_picture(path: Path) -> bool:
    """Read every frame; False when Pillow is not there, or refuses the sheer size."""
    try:
        from PIL import Image, ImageSequence  # noqa: PLC0415 - an optional extra
    except ImportError:
        return False
    try:
        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                frame.load()
    except Image.DecompressionBombError:
        return False
    return True


def _decode_streams(path: Path) -> bool:
    """Read every frame of sound and picture; False when PyAV is not there."""
    try:
        import av  # noqa: PLC0415 - an optional extra
    except ImportError:
        return False
    frames = 0
    try:
        with av.open(str(path)) as container:
            streams = [*container.streams.video, *container.streams.audio]
            for stream in streams:
                stream.thread_type = "AUTO"
            frames = sum(len(packet.decode()) for packet in container.demux(*streams)) if streams else 0
    except av.FFmpegError as error:
        raise ValueError(error.strerror) from error
    if not frames:
        raise ValueError("it holds no frame")
    return True
