"""The verb ``export``: the history as a file, or as a frame."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

import importlib.util
import itertools
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from autopod_nb.config import LEDGER_NAME, read_home
from autopod_nb.errors import UsageError
from autopod_nb.magics.text import Text
from autopod_nb.widgets import words

if TYPE_CHECKING:
    import pandas as pd

    from autopod_nb.session.frame import HistoryFrame

FORMATS = ("csv", "parquet", "json")
_DEFAULT_STEM = "autopod-history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was exported.

    Attributes:
        frame: the history.
        variable: the name under which the person wants the frame, None for none.
        text: what was written; empty if no file was.
    """

    frame: HistoryFrame
    variable: str | None
    text: str


def read_history(limit: int | None = None) -> HistoryFrame:
    """The history of this ``AUTOPOD_HOME``, newest first.

    Raises:
        LedgerError: it cannot be read.
    """
    from autopod_nb.session.build import current_session
    from autopod_nb.session.history import history_frame

    session = current_session()
    if session is not None:
        session.wait_written()
    home = session.settings.home if session is not None else read_home()
    return history_frame(home / LEDGER_NAME, limit=limit)


def frame_json(frame: pd.DataFrame) -> str:
    """A frame as a list of objects; times in ISO 8601, UTC."""
    text: str = frame.to_json(orient="records", date_format="iso", date_unit="us", indent=2, force_ascii=False)
    return text


def export(args: Namespace) -> Exported:
    """Write the history into a new file, put it into a variable, or both."""
    format_ = _format(args)
    if format_ == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError("Parquet needs pyarrow: `%pip install pyarrow`, or take --format csv or json.")
    frame = read_history()
    if args.variable is not None and args.format is None and args.output is None:
        return Exported(frame=frame, variable=args.variable, text="")
    wanted = Path(args.output or f"{_DEFAULT_STEM}.{format_}").expanduser()
    path = _write_new(wanted, _writer(frame, format_))
    rows = f"{len(frame)} attempt{'' if len(frame) == 1 else 's'}"
    return Exported(frame=frame, variable=args.variable, text=Text(f"Wrote {rows} to {words.place(path.absolute())}."))


def _format(args: Namespace) -> str:
    """The format that was named, else that of the file's name, else CSV."""
    suffix = Path(args.output).suffix.lower().removeprefix(".") if args.output else ""
    if args.format is None:
        if suffix and suffix not in FORMATS:
            raise UsageError(
                f"--output {args.output}: no format is called {suffix!r}; take one of {', '.join(FORMATS)}."
            )
        return suffix or "csv"
    if args.format not in FORMATS:
        raise UsageError(f"--format {args.format!r} is none of {', '.join(FORMATS)}.")
    return str(args.format)


def _writer(frame: pd.DataFrame, format_: str) -> Callable[[IO[bytes]], None]:
    if format_ == "parquet":
        return lambda file: frame.to_parquet(file, index=False)
    if format_ == "json":
        return lambda file: _put(file, frame_json(frame) + "\n")
    from autopod_nb.widgets.history_files import flat

    return lambda file: _put(file, flat(frame).to_csv(index=False))


def _put(file: IO[bytes], text: str) -> None:
    file.write(text.encode())


def _write_new(wanted: Path, write: Callable[[IO[bytes]], None]) -> Path:
    """Write a file that was not there; if it is there, ``-2``, ``-3`` … is appended to its name.

    Returns:
        Where it is.

    Raises:
        UsageError: it cannot be written; nothing is left of it.
    """
    for number in itertools.count(1):
        path = wanted if number == 1 else wanted.with_stem(f"{wanted.stem}-{number}")
        try:
            with path.open("xb") as file:
                _write_or_remove(path, file, write)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}; name another --output.") from error
        return path
    raise AssertionError("there is always a next number")


def _write_or_remove(path: Path, file: IO[bytes], write: Callable[[IO[bytes]], None]) -> None:
    try:
        write(file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
