"""What is wrong in a job, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from autopod_nb.errors import JobSpecError

KeyPath: TypeAlias = tuple[str | int, ...]
"""How to get to a value: keys and, in lists, numbers from 0."""

DEEPEST = 50
"""Most lists and mappings inside one another; a guess, far beyond what a job needs."""

_MOST_NAMED = 5  # faults that one message names; a guess at what a person reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in a job.

    Attributes:
        message: what is wrong and the fix; ends with a full stop.
        source: file name, ``cell`` or ``Python``.
        line: from 1, None if unknown.
        key: dotted path of the key, None if it is about the whole.
    """

    message: str
    source: str | None = None
    line: int | None = None
    key: str | None = None

    def error(self) -> JobSpecError:
        """The fault as an error to raise."""
        return JobSpecError(self.message, source=self.source, line=self.line, key=self.key)


def raise_faults(faults: Sequence[Fault]) -> None:
    """Raise one error that names the faults in one line; if there are none, do nothing.

    Raises:
        JobSpecError: with the place of the first fault as attributes.
    """
    if not faults:
        return
    first, *others = faults
    shown = [f"Also {_short(fault)}" for fault in others[: _MOST_NAMED - 1]]
    if len(faults) > _MOST_NAMED:
        shown.append(f"And {len(faults) - _MOST_NAMED} more.")
    message = " ".join([first.message, *shown])
    raise JobSpecError(message, source=first.source, line=first.line, key=first.key)


def dotted(path: KeyPath) -> str:
    """``("params", "sizes", 0)`` → ``params.sizes[0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Places:
    """Where each key of a job stands.

    Attributes:
        source: file name, ``cell`` or ``Python``.
        lines: key path → line from 1; empty for what was not read from text.
    """

    source: str
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def note(self, path: KeyPath, line: int) -> None:
        """Remember where a key stands.

        Raises:
            JobSpecError: it stands twice in one mapping, or too deep.
        """
        if len(path) > DEEPEST:
            raise self.fault(f"lists and mappings are nested more than {DEEPEST} deep.", path[:1], line).error()
        if path in self.lines:
            message = f"the key {path[-1]!r} stands twice, first in line {self.lines[path]}; remove one."
            raise self.fault(message, path, line).error()
        self.lines[path] = line

    def fault(self, message: str, path: KeyPath, line: int | None = None) -> Fault:
        """A fault at *path*; without *line*, the line of that key or of the nearest one around it."""
        line = self.line_of(path) if line is None else line
        return Fault(message=message, source=self.source, line=line, key=dotted(path) or None)

    def line_of(self, path: KeyPath) -> int | None:
        """The line of a key, or of the nearest one around it; None if it was not read from text."""
        around = (path[:length] for length in range(len(path), -1, -1))
        return next((self.lines[part] for part in around if part in self.lines), None)

    def not_finite(self, number: str, path: KeyPath, line: int | None = None) -> Fault:
        """The fault of infinities, of what is no number, and of numbers that are too large."""
        return self.fault(f"{number} is no finite number; write one, or put quotes around a text.", path, line)


def _short(fault: Fault) -> str:
    where = ", ".join(part for part in (f"line {fault.line}" if fault.line else None, fault.key) if part)
    return f"{where}: {fault.message}" if where else fault.message
