"""Results for the eye and the ear: what a file is, and HTML that carries the file in itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from enum import Enum
from html import escape
from pathlib import Path
from urllib.parse import quote

from autopod_nb.models.job import ResultFile
from autopod_nb.widgets.safe import label, safe
from autopod_nb.widgets.words import clean_lines, size

MAX_INLINE_BYTES = 20_000_000
"""More than this is not put into a notebook; the path is shown instead."""
MAX_INLINE_FILES = 8
_MAX_TEXT_BYTES = 20_000
_MOST_TOLD = 5  # of those that are not shown


class Media(Enum):
    """How a file is shown."""

    VIDEO = "video"
    IMAGE = "image"
    AUDIO = "audio"
    TEXT = "text"
    OTHER = "other"


_TYPES: dict[str, tuple[Media, str]] = {
    ".mp4": (Media.VIDEO, "video/mp4"), ".m4v": (Media.VIDEO, "video/mp4"), ".webm": (Media.VIDEO, "video/webm"),
    ".png": (Media.IMAGE, "image/png"), ".jpg": (Media.IMAGE, "image/jpeg"), ".jpeg": (Media.IMAGE, "image/jpeg"),
    ".webp": (Media.IMAGE, "image/webp"), ".gif": (Media.IMAGE, "image/gif"),
    ".wav": (Media.AUDIO, "audio/wav"), ".mp3": (Media.AUDIO, "audio/mpeg"), ".ogg": (Media.AUDIO, "audio/ogg"),
    ".opus": (Media.AUDIO, "audio/ogg"), ".flac": (Media.AUDIO, "audio/flac"), ".m4a": (Media.AUDIO, "audio/mp4"),
    ".txt": (Media.TEXT, "text/plain"), ".json": (Media.TEXT, "application/json"), ".md": (Media.TEXT, "text/plain"),
}  # fmt: skip


def media_of(path: Path) -> tuple[Media, str]:
    """How a file is shown, and its media type, both by the end of its name."""
    return _TYPES.get(path.suffix.lower(), (Media.OTHER, "application/octet-stream"))


def shown_inline(results: Sequence[ResultFile], *, most: int = MAX_INLINE_FILES) -> list[ResultFile]:
    """Those results that are shown themselves: the first few, together not over the limit, as long as they exist."""
    chosen: list[ResultFile] = []
    room = MAX_INLINE_BYTES
    for result in results:
        fits = result.bytes <= room and len(chosen) < most
        if fits and media_of(result.path)[0] is not Media.OTHER and result.path.is_file():
            chosen.append(result)
            room -= result.bytes
    return chosen


def results_html(results: Sequence[ResultFile]) -> str:
    """HTML that shows the results without any other file, and says of the rest why it is not shown, with a link."""
    return "".join(map(_inline, shown_inline(results))) + left_out_html(results, links=True)


def left_out_html(results: Sequence[ResultFile], *, links: bool) -> str:
    """A line for each result that a person would expect to see and does not.

    Args:
        results: of a job.
        links: to files below the current folder, as a notebook's output can have them and a widget cannot.
    """
    shown = {id(result) for result in shown_inline(results)}
    told = [_left_out(result, link=links) for result in results if id(result) not in shown]
    lines = [line for line in told if line]
    more = len(lines) - _MOST_TOLD
    rest = f"<div>and {more} more that {'is' if more == 1 else 'are'} not shown here.</div>" if more > 0 else ""
    return "".join(lines[:_MOST_TOLD]) + rest


def _left_out(result: ResultFile, *, link: bool) -> str:
    name = safe(f"{result.output}: {result.path.name}")
    if not result.path.is_file():
        return f"<div>{name} is not there any more.</div>"
    if media_of(result.path)[0] is Media.OTHER:
        return ""
    if link and result.path.is_relative_to(Path.cwd()):
        href = quote(result.path.relative_to(Path.cwd()).as_posix())
        name = f'<a href="{label(href)}" style="color:var(--jp-content-link-color,#1976d2)">{name}</a>'
    why = "it is too large for a notebook" if result.bytes > MAX_INLINE_BYTES else "the others take all the room"
    return f"<div>{name} ({size(result.bytes)}) is not shown here: {why}.</div>"


def _inline(result: ResultFile) -> str:
    kind, media_type = media_of(result.path)
    try:
        data = result.path.read_bytes()
    except OSError:  # gone since: its path is in the card all the same
        return ""
    named = label(f"{result.output}: {result.path.name}")
    if kind is Media.TEXT:
        return (
            f'<pre aria-label="{named}" style="white-space:pre-wrap;max-height:240px;overflow:auto">{_text(data)}</pre>'
        )
    source = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    style = 'style="max-width:100%;display:block;margin:6px 0"'
    if kind is Media.VIDEO:
        return f'<video controls loop muted playsinline aria-label="{named}" {style} src="{source}"></video>'
    if kind is Media.AUDIO:
        return f'<audio controls aria-label="{named}" {style} src="{source}"></audio>'
    return f'<img alt="{named}" {style} src="{source}">'


def _text(data: bytes) -> str:
    rest = "…" if len(data) > _MAX_TEXT_BYTES else ""
    return escape(clean_lines(data[:_MAX_TEXT_BYTES].decode("utf-8", "replace"))) + rest
