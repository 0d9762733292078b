"""Patterns of file names: ``photos/*.jpg``."""

from __future__ import annotations

import glob
import os
from pathlib import Path


def matching_files(pattern: str, *, cwd: Path) -> list[str]:
    """The files that a pattern means, sorted, without hidden ones.

    Args:
        pattern: with ``*``, ``?``, ``[…]`` or ``**``; ``~`` is expanded. What is none, or the name of a file, means
            itself, whether it is there or not.
        cwd: what it is relative to; so are the results then.

    Raises:
        ValueError: the system cannot have such a name.
    """
    path = os.path.expanduser(pattern)  # noqa: PTH111 - a Path would drop a leading ./ that the person wrote
    try:
        if not glob.has_magic(path) or (cwd / path).is_file():
            return [pattern]
        found = glob.glob(path, root_dir=cwd, recursive=True)  # noqa: PTH207 - Path.glob takes hidden files too
        return sorted(each for each in found if (cwd / each).is_file())
    except OSError as error:
        raise ValueError(f"{pattern!r} cannot be looked for: {error.strerror or error}.") from error
