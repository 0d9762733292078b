"""The history as a file in memory, and as a link that saves it.

A file holds the cells as they are: a data file is for pandas, which must read what was written, so nothing is put
before a cell that begins with ``=``, ``+``, ``-`` or ``@``. A spreadsheet may take such a cell for a formula; where
there is one, whoever makes a CSV file is told. Known secrets are the exception: they are taken out, for the file
stands in the notebook as long as its link does.
"""

from __future__ import annotations

import base64
import importlib.util
import json
from io import BytesIO
from itertools import chain

import pandas as pd

from autopod_nb.errors import UsageError
from autopod_nb.log import redact
from autopod_nb.widgets import words
from autopod_nb.widgets.safe import label, safe

LARGEST_LINK = 5_000_000
"""Bytes of the longest address that a link may have: it travels to the page and is kept there."""

_TYPES = {"csv": "text/csv;charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_TEXTS = ("job_id", "template", "error")
_LARGEST_FILE = LARGEST_LINK * 3 // 4 - 100  # base64 makes four characters of three bytes; the type stands before it
_CHUNK_ROWS = 5_000
_FORMULA = r"^[=+\-@\t\r]"
_NAME = "autopod-history"


def link(frame: pd.DataFrame, format_: str) -> str:
    """HTML that saves these rows as a file when it is pressed.

    Args:
        frame: the rows, with the columns of a history.
        format_: ``csv`` or ``parquet``.

    Raises:
        UsageError: it would be too large for a link, or what writes it is not installed; it says what to do.
    """
    data = csv_of(frame) if format_ == "csv" else parquet_of(frame)
    name = f"{_NAME}.{format_}"
    address = f"data:{_TYPES[format_]};base64,{base64.b64encode(data).decode()}"
    rows = f"{len(frame):,} row{'' if len(frame) == 1 else 's'}, {words.size(len(data))}"
    warning = _formulas(frame) if format_ == "csv" else ""
    style = "color:var(--jp-content-link-color,#1976d2);text-decoration:underline"
    attributes = f'download="{label(name)}" href="{address}" style="{style}"'
    return f"<a {attributes}>Save {safe(name)}</a> ({rows}) {safe(warning)}".rstrip()


def csv_of(frame: pd.DataFrame) -> bytes:
    """As CSV, the paths of the results as a JSON list.

    Raises:
        UsageError: it is too large for a link.
    """
    data = b""
    for start in range(0, max(len(frame), 1), _CHUNK_ROWS):  # so that too large is found soon
        part = frame.iloc[start : start + _CHUNK_ROWS]
        data += flat(_without_secrets(part)).to_csv(index=False, header=start == 0).encode()
        _refuse_large(len(data), "csv")
    return data


def parquet_of(frame: pd.DataFrame) -> bytes:
    """As Parquet.

    Raises:
        UsageError: it is too large for a link, or pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError("Parquet needs pyarrow: `%pip install pyarrow`, or take CSV.")
    file = BytesIO()
    _without_secrets(frame).to_parquet(file, index=False)
    _refuse_large(file.tell(), "parquet")
    return file.getvalue()


def _without_secrets(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame if it holds no secret, which is found out with one look at all its texts."""
    texts = "\n".join([*chain(*(frame[name] for name in _TEXTS)), *chain(*frame["outputs"])])
    if redact(texts) == texts:
        return frame
    paths = pd.Series([[redact(path) for path in paths] for paths in frame["outputs"]], frame.index, dtype="object")
    clean: pd.DataFrame = frame.assign(**{name: frame[name].map(redact) for name in _TEXTS}, outputs=paths)
    return clean


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    """A history for CSV: its lists of files as JSON."""
    plain: pd.DataFrame = frame.assign(outputs=[json.dumps(paths, ensure_ascii=False) for paths in frame["outputs"]])
    return plain


def _refuse_large(bytes_: int, format_: str) -> None:
    if bytes_ > _LARGEST_FILE:
        raise UsageError(
            f"These rows are more than {words.size(LARGEST_LINK)}, too large for a link: "
            f"`%autopod export --format {format_}` writes the whole history into a file, or filter further."
        )


def _formulas(frame: pd.DataFrame) -> str:
    """A warning about cells that a spreadsheet may take for formulas; empty if there are none."""
    count = sum(int(frame[name].astype(str).str.match(_FORMULA).sum()) for name in _TEXTS)
    if not count:
        return ""
    cells = "1 cell begins" if count == 1 else f"{count:,} cells begin"
    return f" – {cells} with = + - or @: let a spreadsheet import them as text, or it may run them as formulas."
