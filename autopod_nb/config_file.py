"""``AUTOPOD_HOME/config.json``: read, shown and changed.

It is private to its owner, written whole or not at all, and one that cannot be understood is never overwritten: it is
for the person to mend it or to move it away. A change keeps every other key of the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from autopod_nb.config import Kind, Secret, find_setting
from autopod_nb.config_model.sources import resolve
from autopod_nb.errors import ConfigError

CONFIG_NAME = "config.json"
_HIDDEN = "set (hidden)"
_MOST_BYTES = 1_000_000  # a slip of some thousand times; nobody's settings are that long


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRow:
    """A setting as a person sees it.

    Attributes:
        key: dotted.
        value: as text; a secret is not shown.
        source: ``environment AUTOPOD_X``, ``config.json``, ``default``, or the key of the setting that it follows.
    """

    key: str
    value: str
    source: str


def config_path(home: Path) -> Path:
    """Where the file is, or would be."""
    return home / CONFIG_NAME


def config_rows(home: Path, env: Mapping[str, str]) -> tuple[ConfigRow, ...]:
    """Every setting, what counts now and where that came from.

    Raises:
        ConfigError: a variable or the file holds something that cannot be used.
    """
    return tuple(
        ConfigRow(key=key, value=_shown(found.value), source=found.source) for key, found in resolve(home, env).items()
    )


def get_value(home: Path, env: Mapping[str, str], key: str) -> ConfigRow:
    """One setting.

    Raises:
        ConfigError: there is no such key (the nearest is named), or as for :func:`config_rows`.
    """
    find_setting(key)
    return next(row for row in config_rows(home, env) if row.key == key)


def read_values(home: Path) -> dict[str, Any]:
    """The values that stand in the file, by dotted key; nothing where there is no file.

    Raises:
        ConfigError: it is damaged, holds what cannot be used, or holds a key that others can read.
    """
    path = config_path(home)
    document = _read(path)
    return {} if document is None else _checked(path, document)


def set_value(home: Path, key: str, text: str) -> None:
    """Set one key. Two processes may do this at the same time.

    Args:
        home: ``AUTOPOD_HOME``; made if need be.
        key: dotted.
        text: JSON or plain text: ``0.5``, ``A40,RTX 4090``, ``["A40"]``, ``none``.

    Raises:
        ConfigError: no such key, or the value or the file cannot be used; nothing was changed.
    """
    value = _parsed(find_setting(key).kind, text)
    with _changing(home) as document:
        table = document
        *parents, name = key.split(".")
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{config_path(home)}: {parent} must be an object, {{…}}; correct it by hand.")
        table[name] = value


def unset_value(home: Path, key: str) -> None:
    """Take one key out of the file, also one that should not be there.

    Raises:
        ConfigError: it is not in the file, or the file cannot be used; nothing was changed.
    """
    with _changing(home) as document:
        tables = [document]
        *parents, name = key.split(".")
        for parent in parents:
            below = tables[-1].get(parent)
            tables.append(below if isinstance(below, dict) else {})
        if name not in tables[-1]:
            find_setting(key)
            raise ConfigError(f"{key} is not set in {config_path(home)}, so it cannot be unset there.")
        del tables[-1][name]
        for table, parent in zip(reversed(tables[:-1]), reversed(parents), strict=True):
            if not table[parent]:
                del table[parent]


def make_file(home: Path) -> Path:
    """The path of the file, to be opened in an editor. An empty one is made if need be, private to its owner.

    Raises:
        ConfigError: it cannot be made.
    """
    path = config_path(home)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write("{}\n")
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error.strerror}.") from error
    return path


def _shown(value: object) -> str:
    if isinstance(value, Secret):
        return _HIDDEN
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "none" if value is None else str(value)


def _parsed(kind: Kind, text: str) -> object:
    """What a person typed, as it stands in JSON. Whether it will do is for the form to say."""
    text = text.strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if kind is Kind.NAMES:
        return value if isinstance(value, list) else [name.strip() for name in text.split(",") if name.strip()]
    if kind in (Kind.TEXT, Kind.PATH, Kind.URL, Kind.KEY):
        return value if isinstance(value, str) else text
    return None if kind is Kind.LIMIT and text.lower() == "none" else value


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Any] | None:
    """The document, None if there is no file."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    document = _document(path, data)
    if mode & 0o077 and _holds_key(document):
        raise ConfigError(f"{path} holds a key and others can read it: run `chmod 600 {shlex.quote(str(path))}`.")
    return document


def _document(path: Path, data: bytes) -> dict[str, Any]:
    if len(data) > _MOST_BYTES:
        _damaged(path, 1, f"is longer than {_MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        _damaged(path, data.count(b"\n", 0, error.start) + 1, "is not UTF-8", error)
    except json.JSONDecodeError as error:
        _damaged(path, error.lineno, f"is not JSON: {error.msg} (column {error.colno})", error)
    except (ValueError, RecursionError) as error:
        _damaged(path, 1, f"cannot be used: {error}", error)
    if not isinstance(document, dict):
        _damaged(path, 1, "must be an object, {…}")
    return document


def _damaged(path: Path, line: int, why: str, cause: BaseException | None = None) -> NoReturn:
    name = shlex.quote(str(path))
    raise ConfigError(
        f"{path}, line {line}: {why}. Nothing was changed: correct it, or keep it aside with "
        f"`mv -n {name} {name}.damaged` and begin anew."
    ) from cause


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return table


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _holds_key(document: Mapping[str, Any]) -> bool:
    providers = document.get("providers")
    accounts = providers.values() if isinstance(providers, dict) else ()
    return any(isinstance(account, dict) and account.get("api_key") for account in accounts)


def _checked(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    from autopod_nb.config_model.form import values_of  # noqa: PLC0415 - loads pydantic

    try:
        return values_of(document)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


# --- writing ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _changing(home: Path) -> Iterator[dict[str, Any]]:
    """Hands out the document; writes what became of it, if the form allows it."""
    path = config_path(home)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(home):
            document = _read(path) or {}
            yield document
            _checked(path, document)
            _replace(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}. Nothing was changed.") from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process changes the file meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot; then the last one wins
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    target = path.resolve()  # a link stays one
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{CONFIG_NAME}-")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
