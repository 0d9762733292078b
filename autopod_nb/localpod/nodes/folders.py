"""Names of files as workflows write them: `sub/pic.png [output]` to read, `video/take %year%` to write.

Rules from runs of ComfyUI 0.12.1: the counter follows the highest number in the folder, so it goes on over restarts;
`%year%` and its like are expanded by the server, `%date:…%` is not.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

KINDS = ("input", "output", "temp")


@dataclass(frozen=True, slots=True)
class Folders:
    """The three folders of a server."""

    input: Path
    output: Path
    temp: Path

    @classmethod
    def beside(cls, input_dir: Path) -> Folders:
        """Return the folders of a server from its input folder; they lie side by side."""
        return cls(input_dir, input_dir.parent / "output", input_dir.parent / "temp")

    def find(self, name: str) -> Path:
        """Return the path of an annotated name; whether something is there is not looked at.

        Args:
            name: A file name, perhaps with subfolders, perhaps ending in ` [input]`, ` [output]` or ` [temp]`.
        """
        for kind in KINDS:
            if name.endswith(f"[{kind}]"):
                folder: Path = getattr(self, kind)
                return folder / name.removesuffix(f"[{kind}]").rstrip()
        return self.input / name


@dataclass(frozen=True, slots=True)
class Slot:
    """A free place for new files.

    Args:
        folder: Where they go; it exists.
        stem: Start of their name; may still hold `%batch_num%`.
        counter: The first free number.
        subfolder: The folder as the API names it, relative to the output or temp folder.
    """

    folder: Path
    stem: str
    counter: int
    subfolder: str

    def name(self, suffix: str, index: int = 0) -> str:
        """Return the name of the file number `index` of this batch, e.g. `pic_00001_.png`."""
        stem = self.stem.replace("%batch_num%", str(index))
        return f"{stem}_{self.counter + index:05}_.{suffix}"


def free_slot(prefix: str, root: Path, *, width: int = 0, height: int = 0) -> Slot:
    """Find the next free file number below a root folder and make the folder.

    Args:
        prefix: The node's `filename_prefix`; may hold folders.
        root: The output or temp folder.
        width: In px, for `%width%`.
        height: In px, for `%height%`.

    Raises:
        ValueError: The prefix leads out of the root folder.
    """
    expanded = Path(_expand(prefix, width, height))
    base = root.resolve()
    folder = (base / expanded.parent).resolve()
    if not folder.is_relative_to(base):
        raise ValueError(f"Saving image outside the output folder is not allowed: {prefix!r}.")
    folder.mkdir(parents=True, exist_ok=True)
    stem = expanded.name or "."  # what the real server makes of an empty prefix
    subfolder = "" if folder == base else folder.relative_to(base).as_posix()
    return Slot(folder, stem, _next_counter(folder, stem), subfolder)


def _expand(prefix: str, width: int, height: int) -> str:
    """Replace the placeholders that the server knows; local time, as the real one takes it."""
    if "%" not in prefix:
        return prefix
    now = datetime.now().astimezone()
    values = {"width": str(width), "height": str(height), "year": str(now.year)}
    values |= {name: f"{getattr(now, name):02}" for name in ("month", "day", "hour", "minute", "second")}
    for name, value in values.items():
        prefix = prefix.replace(f"%{name}%", value)
    return prefix


def _next_counter(folder: Path, stem: str) -> int:
    numbered = re.compile(re.escape(stem) + r"_(\d+)(?:_.*)?", re.DOTALL)
    numbers = [int(match[1]) for path in folder.iterdir() if (match := numbered.fullmatch(path.name))]
    return max(numbers, default=0) + 1


def listed(folder: Path, kinds: frozenset[str]) -> list[str]:
    """Return the sorted names of a folder's own files whose media type is among the kinds, e.g. `image`.

    Subfolders are left out, as in the real `/object_info`. No kinds: every file.
    """
    if not folder.is_dir():
        return []
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return [name for name in names if not kinds or _kind(name) in kinds]


def _kind(name: str) -> str:
    return (mimetypes.guess_type(name, strict=False)[0] or "").partition("/")[0]


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hex; empty if it cannot be read, so that running the node says why."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
