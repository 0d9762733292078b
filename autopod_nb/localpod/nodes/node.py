"""The one implementation of `NodeClass`: a shape, a function, and perhaps a file that it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .base import NodeContext, NodeResult
from .folders import Folders, content_hash, listed
from .shapes import shapes, with_choices


@dataclass(frozen=True, slots=True)
class FileInput:
    """An input that names a file in the input folder.

    Args:
        key: Name of the input.
        kinds: Media types for the list of choices; what is not listed may still be named.
        fault: The real server's sentence for a missing file, with `{}` for its name.
    """

    key: str
    kinds: frozenset[str]
    fault: str


@dataclass(frozen=True, slots=True)
class Node:
    """A class of nodes made of a function.

    Args:
        name: The `class_type` of workflows.
        function: Takes the context and the inputs by name.
        file: The input that names a file, if there is one.
        choices: More lists that are looked up at each question, by input name; they get the input folder.
    """

    name: str
    function: Callable[..., NodeResult]
    file: FileInput | None = None
    choices: Mapping[str, Callable[[Path], list[str]]] | None = None

    @property
    def info(self) -> Mapping[str, Any]:
        """The entry of `/object_info`, of a server without files and models."""
        return shapes()[self.name]

    def info_now(self, input_dir: Path) -> Mapping[str, Any]:
        """Return the entry of `/object_info` with the lists of this moment."""
        lists = {name: choose(input_dir) for name, choose in (self.choices or {}).items()}
        if self.file is not None:
            lists[self.file.key] = listed(input_dir, self.file.kinds)
        return with_choices(self.info, lists) if lists else self.info

    def validate(self, inputs: Mapping[str, object], input_dir: Path) -> str | None:
        """Return the real server's sentence if the named file is not there."""
        path = self._path(inputs, input_dir)
        if path is None or self.file is None or path.exists():
            return None
        return self.file.fault.format(inputs[self.file.key])

    def fingerprint(self, inputs: Mapping[str, object], input_dir: Path) -> str:
        """Return the SHA-256 of the named file; empty for a node without one."""
        path = self._path(inputs, input_dir)
        return "" if path is None else content_hash(path)

    def run(self, ctx: NodeContext, **inputs: object) -> NodeResult:
        """Call the function."""
        return self.function(ctx, **inputs)

    def _path(self, inputs: Mapping[str, object], input_dir: Path) -> Path | None:
        if self.file is None:
            return None
        name = inputs.get(self.file.key)
        return Folders.beside(input_dir).find(name) if isinstance(name, str) else None
