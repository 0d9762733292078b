from __future__ import annotations

import numpy as np
import pytest

from tests.localpod.nodes.workbench import Workbench, colours

A, B = np.float32(0.2), np.float32(0.6)


@pytest.mark.parametrize(
    ("mode", "blended"),
    [
        ("normal", 0.6),
        ("multiply", 0.12),
        ("screen", 0.68),
        ("overlay", 0.24),
        ("soft_light", 0.2 + 0.2 * (((16 * 0.2 - 12) * 0.2 + 4) * 0.2 - 0.2)),
        ("difference", 0.0),
    ],
)
def test_a_blend_mode_has_its_formula(bench: Workbench, mode: str, blended: float) -> None:
    """At a factor of 1 the result is the mode's own; a negative difference is cut off."""
    first, second = np.full((1, 2, 2, 3), A), np.full((1, 2, 2, 3), B)
    images = bench.image("ImageBlend", image1=first, image2=second, blend_factor=1.0, blend_mode=mode)
    np.testing.assert_allclose(images, blended, atol=1e-6)


def test_the_factor_mixes(bench: Workbench) -> None:
    first, second = np.full((1, 2, 2, 3), A), np.full((1, 9, 9, 3), B)
    images = bench.image("ImageBlend", image1=first, image2=second, blend_factor=0.25, blend_mode="normal")
    assert images.shape == (1, 2, 2, 3)
    np.testing.assert_allclose(images, 0.3, atol=1e-6)


def test_inverting_twice_gives_the_picture_back(bench: Workbench) -> None:
    images = colours(2, 3, 4)
    inverted = bench.image("ImageInvert", image=images)
    np.testing.assert_array_equal(inverted, 1 - images)
    np.testing.assert_allclose(bench.image("ImageInvert", image=inverted), images, atol=1e-6)


def test_flips_and_turns_go_the_right_way(bench: Workbench) -> None:
    images = colours(1, 2, 3)
    flipped = bench.image("ImageFlip", image=images, flip_method="y-axis: horizontally")
    np.testing.assert_array_equal(flipped, images[:, :, ::-1])
    flipped = bench.image("ImageFlip", image=images, flip_method="x-axis: vertically")
    np.testing.assert_array_equal(flipped, images[:, ::-1])
    turned = bench.image("ImageRotate", image=images, rotation="90 degrees")
    assert turned.shape == (1, 3, 2, 3)
    np.testing.assert_array_equal(turned[0, 0, -1], images[0, 0, 0])  # clockwise: top left goes to top right
    assert bench.image("ImageRotate", image=images, rotation="none").shape == images.shape


def test_a_blur_spreads_a_point_evenly_and_keeps_the_light(bench: Workbench) -> None:
    point = np.zeros((1, 21, 21, 3), dtype=np.float32)
    point[0, 10, 10] = 1
    blurred = bench.image("ImageBlur", image=point, blur_radius=3, sigma=10.0)
    np.testing.assert_allclose(blurred.sum(axis=(1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(blurred[0, 7:14, 7:14], 1 / 49, rtol=0.02)
    assert blurred[0, 6].max() == 0


def test_noise_follows_the_seed_and_the_strength(bench: Workbench) -> None:
    grey = np.full((1, 64, 64, 3), np.float32(0.5))
    first = bench.image("ImageAddNoise", image=grey, seed=7, strength=0.1)
    np.testing.assert_array_equal(first, bench.image("ImageAddNoise", image=grey, seed=7, strength=0.1))
    assert (first != bench.image("ImageAddNoise", image=grey, seed=8, strength=0.1)).any()
    assert first.std() == pytest.approx(0.1, rel=0.05)
    strong = bench.image("ImageAddNoise", image=grey, seed=2**64 - 1, strength=1.0)
    assert (strong.min(), strong.max()) == (0, 1)


def test_inputs_are_left_alone(bench: Workbench) -> None:
    """Results are kept between jobs, so no node may write into what it was given."""
    images = colours(2, 16, 16)
    images.flags.writeable = False
    bench.run("ImageBlend", image1=images, image2=images, blend_factor=0.5, blend_mode="overlay")
    bench.run("ImageBlur", image=images, blur_radius=2, sigma=1.0)
    bench.run("ImageAddNoise", image=images, seed=1, strength=0.5)
    bench.run("ImageScale", image=images, upscale_method="bicubic", width=9, height=7, crop="center")
    bench.run("SaveImage", images=images, filename_prefix="a")
    np.testing.assert_array_equal(images, colours(2, 16, 16))
