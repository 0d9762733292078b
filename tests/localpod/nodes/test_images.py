from __future__ import annotations

import numpy as np
import pytest

from tests.localpod.nodes.workbench import Workbench, colours


def test_an_empty_image_has_its_colour_and_no_memory_of_its_own(bench: Workbench) -> None:
    images = bench.image("EmptyImage", width=4, height=3, batch_size=2, color=0x1080FF)
    assert images.shape == (2, 3, 4, 3)
    np.testing.assert_array_equal(np.unique(images.reshape(-1, 3), axis=0) * 255, [[0x10, 0x80, 0xFF]])
    assert images.strides[:3] == (0, 0, 0)


@pytest.mark.parametrize(
    ("width", "height", "size"), [(40, 0, (40, 20)), (0, 10, (20, 10)), (0, 0, (80, 40)), (33, 44, (33, 44))]
)
def test_a_side_of_zero_follows_the_other_one(bench: Workbench, width: int, height: int, size: tuple[int, int]) -> None:
    images = bench.image(
        "ImageScale", image=colours(1, 40, 80), upscale_method="area", width=width, height=height, crop="disabled"
    )
    assert (images.shape[2], images.shape[1]) == size


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((3, 2, 1, 2), slice(2, 4), slice(1, 4)),
        ((100, 100, 4, 3), slice(3, 6), slice(4, 8)),
        ((5, 5, 900, 900), slice(5, 6), slice(7, 8)),
    ],
)
def test_a_crop_stays_inside_the_image(
    bench: Workbench, box: tuple[int, int, int, int], rows: slice, columns: slice
) -> None:
    images = colours(2, 6, 8)
    width, height, x, y = box
    cut = bench.image("ImageCrop", image=images, width=width, height=height, x=x, y=y)
    np.testing.assert_array_equal(cut, images[:, rows, columns])


def test_the_second_batch_is_brought_to_the_size_and_channels_of_the_first(bench: Workbench) -> None:
    first, second = colours(1, 4, 6, channels=4), colours(2, 8, 20)
    batch = bench.image("ImageBatch", image1=first, image2=second)
    assert batch.shape == (3, 4, 6, 4)
    np.testing.assert_array_equal(batch[:1], first)
    assert (batch[1:, ..., 3] == 1).all()


def test_a_batch_is_repeated_as_a_whole(bench: Workbench) -> None:
    images = colours(2, 2, 2)
    np.testing.assert_array_equal(bench.image("RepeatImageBatch", image=images, amount=3), np.concatenate([images] * 3))


@pytest.mark.parametrize(("index", "length", "taken"), [(1, 2, slice(1, 3)), (2, 9, slice(2, 4)), (9, 1, slice(3, 4))])
def test_images_are_taken_from_a_batch(bench: Workbench, index: int, length: int, taken: slice) -> None:
    images = colours(4, 2, 2)
    np.testing.assert_array_equal(
        bench.image("ImageFromBatch", image=images, batch_index=index, length=length), images[taken]
    )


def test_the_size_is_told(bench: Workbench) -> None:
    assert bench.run("GetImageSize", image=colours(3, 4, 5)).values == (5, 4, 3)
