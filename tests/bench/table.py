"""Puts the figures of the last ``make bench`` into the README: ``python -m tests.bench.table``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.run import OUTPUT, ROOT

_README = ROOT / "README.md"
_BEGIN, _END = "<!-- figures -->\n", "<!-- /figures -->\n"
_HEAD = "| figure | measured | aim | | what it is |\n|---|---|---|---|---|\n"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of ``bench.json`` in Markdown; one that missed its aim, or has no figure, says so."""
    return _HEAD + "".join(map(_line, rows))


def _line(row: dict[str, Any]) -> str:
    note = str(row["note"]).replace("|", "\\|")
    if row["value"] is None:
        return f"| `{row['name']}` | – | – | **not measured** | {note} |\n"
    verdict = "" if row["ok"] else "**missed**"
    unit = f" {row['unit']}" if row["unit"] else ""
    value, aim = _number(row["value"]), _number(row["aim"])
    return f"| `{row['name']}` | {value}{unit} | {row['sense']} {aim} | {verdict} | {note} |\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def with_table(text: str, rows: Sequence[dict[str, Any]]) -> str:
    """A README with these figures in the place of the old ones.

    Raises:
        ValueError: it has no such place.
    """
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    return f"{before}{_BEGIN}{table(rows)}{_END}{after}"


def main(readme: Path = _README, figures: Path = OUTPUT) -> None:
    """Take them over."""
    rows = json.loads(figures.read_text())["rows"]
    readme.write_text(with_table(readme.read_text(), rows))


if __name__ == "__main__":
    main()
