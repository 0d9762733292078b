"""The verb ``config``: show settings with where they come from, set them, open their file."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from getpass import getpass
from pathlib import Path

from autopod_nb.config import Kind, find_setting, read_home
from autopod_nb.errors import UsageError, nearest
from autopod_nb.magics.listing import page
from autopod_nb.magics.text import Page, Text
from autopod_nb.widgets import card
from autopod_nb.widgets.table import Cell, Table


def config(args: Namespace) -> Page | Text:
    """Do what the word after ``config`` says; without one, show all."""
    action = args.action or "get"
    if action not in _ACTIONS:
        hint = nearest(action, _ACTIONS) or f" Known: {', '.join(_ACTIONS)}."
        raise UsageError(f"%autopod config has no {action!r}.{hint}")
    return _ACTIONS[action](args.key, " ".join(args.value))


def _get(key: str | None, value: str) -> Page | Text:
    from autopod_nb.config_file import config_path, config_rows, get_value

    _no_more("get [KEY]", value)
    home = read_home()
    if key is not None:
        row = get_value(home, os.environ, key)
        return Text(f"{row.key} = {row.value} ({row.source})")
    rows = [
        (Cell(row.key), Cell(row.value), Cell(row.source, "" if row.source == "default" else card.ACTIVE))
        for row in config_rows(home, os.environ)
    ]
    path = config_path(home)
    note = f"The file is {path}{'' if path.exists() else ', which is not there yet'}. `%autopod config set KEY VALUE`."
    return page(Table(name="Settings", headings=("Setting", "Value", "From"), rows=rows, notes=(note,)))


def _set(key: str | None, value: str) -> Text:
    from autopod_nb.config_file import config_path, get_value, set_value

    if key is None:
        raise UsageError("%autopod config set KEY VALUE: which setting? `%autopod config get` shows all.")
    secret = find_setting(key).kind is Kind.KEY
    if secret and value:
        raise UsageError(
            f"A key in a cell stays in the notebook: clear that cell, then run `%autopod config set {key}` without the "
            "key, and you are asked for it."
        )
    if not value and not secret:
        raise UsageError(f"%autopod config set {key} VALUE: to which value?")
    home = read_home()
    set_value(home, key, _ask(key) if secret else value)
    row = get_value(home, os.environ, key)
    lines = [f"{key} is set in {config_path(home)}."]
    if row.source.startswith("environment"):
        lines.append(f"But {row.source} says {row.value}, and that counts.")
    return Text(" ".join([*lines, *_from_when()]))


def _ask(key: str) -> str:
    """Ask for a secret; it is not shown while it is typed, and is in no cell."""
    try:
        text = getpass(f"{key}: ").strip()
    except (EOFError, NotImplementedError) as error:  # ipykernel's own error for no front end is of the second kind
        raise UsageError("Nobody can be asked for the key here: set RUNPOD_API_KEY, or use a notebook.") from error
    if not text:
        raise UsageError("No key was given; nothing was changed.")
    return text


def _unset(key: str | None, value: str) -> Text:
    from autopod_nb.config_file import get_value, unset_value

    _no_more("unset KEY", value)
    if key is None:
        raise UsageError("%autopod config unset KEY: which setting?")
    home = read_home()
    unset_value(home, key)
    row = get_value(home, os.environ, key)
    return Text(" ".join([f"{key} is {row.value} now ({row.source}).", *_from_when()]))


def _from_when() -> list[str]:
    from autopod_nb.session.build import current_session

    if current_session() is None:
        return []
    return ["The session that runs keeps what it began with; a new kernel takes the new value."]


def _path(key: str | None, value: str) -> Text:
    from autopod_nb.config_file import config_path

    _no_more("path", key, value)
    return Text(str(config_path(read_home())))


def _edit(key: str | None, value: str) -> Text:
    from autopod_nb.config_file import make_file

    _no_more("edit", key, value)
    path = make_file(read_home())
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if editor is None or not sys.stdin.isatty():
        return Text(f"Open {path} in an editor; `%autopod config get` then says whether it can be used.")
    return _open(shlex.split(editor), path)


def _open(editor: list[str], path: Path) -> Text:
    """Run the person's editor in this terminal."""
    try:
        status = subprocess.run([*editor, str(path)], check=False).returncode  # noqa: S603 - the person's own choice
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"The editor {editor[0]!r} cannot be started: {why}; edit {path} another way.") from error
    if status:
        raise UsageError(f"The editor {editor[0]!r} ended with status {status}; the file is {path}.")
    return Text(f"{path} was edited; `%autopod config get` says whether it can be used.")


def _no_more(usage: str, *words: str | None) -> None:
    for word in words:
        if word:
            raise UsageError(f"%autopod config: {word!r} is one word too many. Usage: %autopod config {usage}")


_ACTIONS: dict[str, Callable[[str | None, str], Page | Text]] = {
    "get": _get,
    "set": _set,
    "unset": _unset,
    "path": _path,
    "edit": _edit,
}
