"""The figures in the README are those that were measured."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.table import main

_GOOD = {"name": "a_ms", "value": 1234.5678, "unit": "ms", "aim": 2000, "ok": True, "note": "a | b", "sense": "≤"}
_BAD = {"name": "b_ratio", "value": 0.5, "unit": "×", "aim": 2.0, "ok": False, "note": "beside c", "sense": "≥"}
_NONE = {"name": "d", "value": None, "unit": "", "aim": None, "ok": False, "note": "not measured: no", "sense": "≤"}


def test_a_missed_aim_and_a_missing_figure_are_marked(tmp_path: Path) -> None:
    readme, figures = tmp_path / "README.md", tmp_path / "bench.json"
    readme.write_text("before\n<!-- figures -->\nold\n<!-- /figures -->\nafter\n")
    figures.write_text(json.dumps({"rows": [_GOOD, _BAD, _NONE]}))
    for _ in range(2):
        main(readme, figures)
    assert readme.read_text() == (
        "before\n<!-- figures -->\n| figure | measured | aim | | what it is |\n|---|---|---|---|---|\n"
        "| `a_ms` | 1,235 ms | ≤ 2,000 |  | a \\| b |\n"
        "| `b_ratio` | 0.5 × | ≥ 2 | **missed** | beside c |\n"
        "| `d` | – | – | **not measured** | not measured: no |\n"
        "<!-- /figures -->\nafter\n"
    )
