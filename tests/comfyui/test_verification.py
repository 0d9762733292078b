"""Files that came without a checksum."""

from __future__ import annotations

from pathlib import Path

import pytest

from autopod_nb.comfyui.verification import verify
from autopod_nb.errors import TransferError
from autopod_nb.models.job import Verified
from tests.comfyui.media import picture, video


def test_every_frame_is_decoded(tmp_path: Path) -> None:
    """A film that lacks its end, and a moving picture whose last frame is cut, are damaged."""
    film = video(tmp_path / "film.mp4")
    assert verify(tmp_path / "film.mp4", ".MP4") is Verified.DECODED
    (tmp_path / "cut.mp4").write_bytes(film[: len(film) // 2])
    with pytest.raises(TransferError, match="damaged"):
        verify(tmp_path / "cut.mp4", ".mp4")
    moving = picture(64, "WEBP", frames=4)
    (tmp_path / "moving.webp").write_bytes(moving)
    assert verify(tmp_path / "moving.webp", ".webp") is Verified.DECODED
    (tmp_path / "cut.webp").write_bytes(moving[: len(moving) * 3 // 4])
    with pytest.raises(TransferError, match="damaged"):
        verify(tmp_path / "cut.webp", ".webp")


def test_a_format_that_nothing_here_can_read_counts_by_its_size(tmp_path: Path) -> None:
    (tmp_path / "x.latent").write_bytes(b"whatever")
    assert verify(tmp_path / "x.latent", ".latent") is Verified.SIGNATURE
