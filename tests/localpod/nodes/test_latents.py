from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autopod_nb.localpod.nodes import NODES, Interrupted
from autopod_nb.localpod.nodes.values import Floats, Latent, Vae
from tests.localpod.nodes.workbench import Workbench, colours

PIXEL_SPACE = Vae("pixel_space")
TIMES = {"temporal_size": 64, "temporal_overlap": 8}


def encode(bench: Workbench, images: Floats, tile_size: int, overlap: int) -> Latent:
    latent: Latent = bench.value(
        "VAEEncodeTiled", pixels=images, vae=PIXEL_SPACE, tile_size=tile_size, overlap=overlap, **TIMES
    )
    return latent


@pytest.mark.parametrize(
    ("count", "side", "tile_size", "total"),
    [(8, 2048, 512, 384), (16, 2048, 512, 768), (1, 512, 64, 192), (1, 512, 512, 5)],
)
def test_tiles_are_counted_as_in_the_recordings(
    bench: Workbench, count: int, side: int, tile_size: int, total: int
) -> None:
    """384 and 192 steps are what the real server sent for these sizes."""
    grey = np.broadcast_to(np.float32(0.5), (count, side, side, 3))
    encode(bench, grey, tile_size, 0)
    assert [step.value for step in bench.steps] == list(range(1, total + 1))
    assert {step.maximum for step in bench.steps} == {total}


def test_an_overlap_of_half_a_tile_fails_as_recorded(bench: Workbench) -> None:
    with pytest.raises(ZeroDivisionError, match=r"^division by zero$"):
        encode(bench, colours(1, 512, 512), 64, 32)
    assert bench.steps == []


def test_decoding_makes_a_large_overlap_smaller_instead(bench: Workbench) -> None:
    images = colours(1, 200, 300)
    decoded = bench.image("VAEDecodeTiled", samples=Latent(images), vae=PIXEL_SPACE, tile_size=64, overlap=64, **TIMES)
    np.testing.assert_array_equal(decoded, images)
    assert bench.steps[-1].value == bench.steps[-1].maximum == len(bench.steps)


@pytest.mark.parametrize(("encoder", "decoder"), [("VAEEncode", "VAEDecode"), ("VAEEncodeTiled", "VAEDecodeTiled")])
def test_pixel_space_gives_the_picture_back_without_alpha(bench: Workbench, encoder: str, decoder: str) -> None:
    images = colours(2, 70, 90, channels=4)
    tiles: dict[str, Any] = {"tile_size": 64, "overlap": 0, **TIMES} if encoder.endswith("Tiled") else {}
    vae = bench.value("VAELoader", vae_name="pixel_space")
    latent = bench.value(encoder, pixels=images, vae=vae, **tiles)
    np.testing.assert_array_equal(bench.image(decoder, samples=latent, vae=vae, **tiles), images[..., :3])


def test_decoding_keeps_values_in_range(bench: Workbench) -> None:
    wild = np.array([-1.0, 0.5, 2.0], dtype=np.float32).reshape(1, 1, 1, 3)
    assert bench.image("VAEDecode", samples=Latent(wild), vae=PIXEL_SPACE).ravel().tolist() == [0, 0.5, 1]


def test_an_interrupt_is_heard_at_the_next_tile(bench: Workbench) -> None:
    bench.stop_at = 3
    with pytest.raises(Interrupted):
        encode(bench, colours(1, 256, 256), 64, 0)
    assert len(bench.steps) == 3


def test_values_that_are_not_numbers_are_an_error(bench: Workbench) -> None:
    with pytest.raises(ValueError, match="not numbers"):
        encode(bench, np.full((1, 64, 64, 3), np.float32(np.nan)), 64, 0)


def test_pixel_space_is_always_to_choose(bench: Workbench) -> None:
    assert NODES["VAELoader"].info_now(bench.input)["input"]["required"]["vae_name"] == [["pixel_space"]]
