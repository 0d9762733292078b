"""``make bench``: measure what the project promises, print it, and write ``demo-output/bench.json``.

Every row is ``{name, value, unit, aim, ok, note}``. Ratios are measured side by side in one run, for these machines
are shared and noisy; a row that misses its aim is printed as such and changes no exit status. A row that could not
be measured does.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
OUTPUT = ROOT / "demo-output" / "bench.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure beside its aim. ``ok``: whether it keeps it; ``sense``: ``≤`` or ``≥``, how it is to be."""

    name: str
    value: float
    unit: str
    aim: float
    ok: bool
    note: str
    sense: str = "≤"


def row(name: str, value: float, unit: str, aim: float, note: str) -> Row:
    """A figure that is to be at most *aim*."""
    return Row(name=name, value=round(value, 6), unit=unit, aim=aim, ok=value <= aim, note=note)


def at_least(name: str, value: float, unit: str, aim: float, note: str) -> Row:
    """A figure that is to be at least *aim*."""
    return Row(name=name, value=round(value, 6), unit=unit, aim=aim, ok=value >= aim, note=note, sense="≥")


def main() -> int:
    """Measure the rows that are asked for, all by default."""
    from tests.bench.catalogue import benches as all_benches  # noqa: PLC0415 - after the path is set
    from tests.bench.panel_room import Room  # noqa: PLC0415 - the same

    room = Room()
    benches = all_benches(room)
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("rows", nargs="*", choices=[[], *benches], help="all by default")
    asked = parser.parse_args().rows or list(benches)
    names = [name for name in benches if name in asked]
    try:
        rows = [_shown(_measured(name, benches[name])) for name in names]
    finally:
        room.close()
    OUTPUT.parent.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    found = [{**asdict(each), **({"value": None, "aim": None} if math.isnan(each.value) else {})} for each in rows]
    OUTPUT.write_text(json.dumps({"rows": found, **machine}, indent=2) + "\n")
    print(f"written to {OUTPUT.relative_to(ROOT)}")
    return int(any(math.isnan(each.value) for each in rows))


def _measured(name: str, measure: Callable[[], Row]) -> Row:
    """A row whose measurement failed is a row that says so, and the others are measured all the same."""
    try:
        return measure()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is shown, and the exit status tells
        traceback.print_exc()
        why = str(error).partition("\n")[0] or type(error).__name__
        return Row(name=name, value=math.nan, unit="", aim=math.nan, ok=False, note=f"not measured: {why}")


def _shown(done: Row) -> Row:
    verdict = "ok" if done.ok else "MISSED"
    print(
        f"{done.name:28} {done.value:12.6g} {done.unit:6} aim {done.sense} {done.aim:<8.4g} {verdict:7} {done.note}",
        flush=True,
    )
    return done


if __name__ == "__main__":
    sys.exit(main())
