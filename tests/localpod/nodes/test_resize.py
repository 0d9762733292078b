from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.localpod.nodes.resize import crop_to_ratio, scale
from tests.localpod.nodes.workbench import colours

METHODS = ["nearest-exact", "bilinear", "bicubic", "area", "lanczos"]


@pytest.mark.parametrize("method", METHODS)
@given(
    sizes=st.tuples(*[st.integers(1, 24)] * 4),
    channels=st.sampled_from([1, 3, 4]),
    crop=st.sampled_from(["disabled", "center"]),
)
def test_any_size_becomes_exactly_the_wanted_one(
    method: str, sizes: tuple[int, int, int, int], channels: int, crop: str
) -> None:
    """The shape is the wanted one, and an even picture keeps its colour."""
    height, width, new_height, new_width = sizes
    images = np.full((2, height, width, channels), np.float32(0.4))
    scaled = scale(images, new_width, new_height, method, crop)
    assert scaled.shape == (2, new_height, new_width, channels)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, 0.4, atol=1e-5)


def test_nearest_takes_the_pixel_under_the_middle() -> None:
    row = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    assert scale(row, 2, 1, "nearest-exact").ravel().tolist() == [1, 3]
    assert scale(row, 8, 1, "nearest-exact").ravel().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_bilinear_mixes_two_neighbours_and_skips_pixels_when_it_shrinks() -> None:
    row = np.array([0, 1, 9, 9, 9, 9, 2, 4], dtype=np.float32).reshape(1, 1, 8, 1)
    assert scale(row, 2, 1, "bilinear").ravel().tolist() == [5, 5.5]
    pair = np.array([0, 1], dtype=np.float32).reshape(1, 1, 2, 1)
    assert scale(pair, 4, 1, "bilinear").ravel().tolist() == [0, 0.25, 0.75, 1]


def test_area_is_the_mean_of_what_is_covered() -> None:
    row = np.array([0, 1, 2, 3, 4], dtype=np.float32).reshape(1, 1, 5, 1)
    assert scale(row, 1, 1, "area").ravel().tolist() == [2]
    assert scale(row, 2, 1, "area").ravel().tolist() == [1, 3]
    assert scale(row[:, :, :4], 2, 1, "area").ravel().tolist() == [0.5, 2.5]


def test_bicubic_overshoots_at_edges() -> None:
    step = np.array([0, 0, 1, 1], dtype=np.float32).reshape(1, 1, 4, 1)
    scaled = scale(step, 8, 1, "bicubic")
    assert scaled.min() < 0
    assert scaled.max() > 1


def test_the_middle_is_cut_out() -> None:
    images = colours(1, 4, 8)
    np.testing.assert_array_equal(crop_to_ratio(images, 10, 10), images[:, :, 2:6])
    np.testing.assert_array_equal(crop_to_ratio(images, 4, 1), images[:, 1:3])
    assert crop_to_ratio(images, 1, 99).shape == (1, 4, 2, 3)


def test_the_same_size_changes_no_pixel() -> None:
    images = colours(2, 5, 7)
    for method in METHODS:
        np.testing.assert_array_equal(scale(images, 7, 5, method), images)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="magic"):
        scale(colours(1, 4, 4), 2, 2, "magic")
