"""Results inside a page: as what they are, as far as there is room."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from autopod_nb.log import hide
from autopod_nb.models.job import ResultFile
from autopod_nb.widgets import media
from tests.widgets.views import RESULT


def result(path: Path, data: bytes) -> ResultFile:
    """A result with this content."""
    path.write_bytes(data)
    return replace(RESULT, path=path, bytes=len(data))


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.mp4", "<video controls"),
        ("a.WEBM", "<video controls"),
        ("a.png", "<img alt="),
        ("a.webp", "<img alt="),
        ("a.wav", "<audio controls"),
    ],
)
def test_pictures_sound_and_video_carry_their_bytes_in_themselves(tmp_path: Path, name: str, start: str) -> None:
    html = media.results_html([result(tmp_path / name, b"12345")])
    assert html.startswith(start)
    assert f"base64,{base64.b64encode(b'12345').decode()}" in html


def test_text_is_shown_escaped_without_secrets_and_cut_when_long(tmp_path: Path) -> None:
    hide("s3cr3t-in-a-result")
    html = media.results_html([result(tmp_path / "a.txt", b"<b>s3cr3t-in-a-result</b>" + b"x" * 30_000)])
    assert "&lt;b&gt;[redacted]&lt;/b&gt;xxx" in html
    assert html.endswith("x…</pre>")


def test_of_other_files_their_path_in_the_card_is_enough(tmp_path: Path) -> None:
    assert media.results_html([result(tmp_path / "model.safetensors", b"1")]) == ""


def test_what_does_not_fit_is_left_out_and_what_is_smaller_still_shown(tmp_path: Path) -> None:
    large = replace(result(tmp_path / "large.mp4", b"1"), bytes=media.MAX_INLINE_BYTES + 1)
    small = result(tmp_path / "small.mp4", b"2")
    assert media.shown_inline([large, small]) == [small]


def test_only_the_first_few_of_many_are_shown(tmp_path: Path) -> None:
    many = [result(tmp_path / f"{index}.png", b"1") for index in range(20)]
    assert media.shown_inline(many) == many[: media.MAX_INLINE_FILES]
