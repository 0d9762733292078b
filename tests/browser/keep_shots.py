"""Makes the README's pictures small: ``python -m tests.browser.keep_shots``, after ``test_readme_shots`` took them."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from tests.browser.lab import ROOT

PREFIX = "readme-"
TAKEN = ROOT / "demo-output" / "shots"
KEPT = ROOT / "notebooks" / "shots"
_WIDEST, _HIGHEST = 880, 720
_COLOURS = 256


def keep(taken: Path, kept: Path) -> None:
    """Write a picture no wider than GitHub shows it, without what is far down, with few colours."""
    with Image.open(taken) as picture:
        small = picture.convert("RGB")
    if small.width > _WIDEST:
        small = small.resize((_WIDEST, round(small.height * _WIDEST / small.width)), Image.Resampling.LANCZOS)
    small = small.crop((0, 0, small.width, min(small.height, _HIGHEST)))
    few = small.quantize(_COLOURS, method=Image.Quantize.FASTOCTREE)  # keeps the small spots of colour of a state
    few.save(kept, optimize=True)


def main() -> None:
    """Keep all that were taken."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for taken in sorted(TAKEN.glob(f"{PREFIX}*.png")):
        kept = KEPT / taken.name.removeprefix(PREFIX)
        keep(taken, kept)
        sys.stdout.write(f"{kept.relative_to(ROOT)}  {kept.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
