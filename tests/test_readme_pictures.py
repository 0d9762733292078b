"""The pictures of the README are there, small, and say in words what they show."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
_MOST_BYTES = 600_000
_WIDEST = 900  # pixels: GitHub shows no more


def pictures() -> dict[str, str]:
    """Path → words in its place."""
    return {path: words for words, path in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", README)}


def test_each_picture_is_there_and_each_that_is_there_is_shown() -> None:
    kept = {path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks" / "shots").iterdir()}
    assert kept == set(pictures())
    assert len(kept) >= 5


def test_each_picture_says_in_a_sentence_what_it_shows() -> None:
    assert [path for path, words in pictures().items() if len(words) < 60 or not words.endswith(".")] == []


def test_pictures_are_small() -> None:
    paths = [ROOT / path for path in pictures()]
    assert sum(path.stat().st_size for path in paths) < _MOST_BYTES
    for path in paths:
        with Image.open(path) as picture:
            assert picture.width <= _WIDEST
            assert picture.info.keys() <= {"transparency", "gamma", "srgb", "dpi"}, "nothing is told beside the picture"
