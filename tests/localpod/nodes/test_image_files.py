from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.localpod.nodes.workbench import Workbench, colours

PIXELS = (colours(1, 6, 8)[0] * 255).round().astype(np.uint8)


def test_a_picture_comes_in_with_an_empty_mask(bench: Workbench) -> None:
    Image.fromarray(PIXELS).save(bench.input / "a.png")
    image, mask = bench.run("LoadImage", image="a.png").values
    np.testing.assert_array_equal(image, PIXELS[None].astype(np.float32) / 255)
    assert isinstance(mask, np.ndarray)
    assert (mask.shape, mask.max()) == ((1, 64, 64), 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_the_mask_and_leaves_the_image(bench: Workbench, mode: str) -> None:
    picture = Image.fromarray(PIXELS)
    alpha = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5)
    if mode == "P":
        picture = picture.quantize(16)
        picture.info["transparency"] = picture.getpixel((2, 3))
        visible = np.asarray(picture.convert("RGBA"))[..., 3]
    else:
        picture = picture.convert(mode[:-1] if mode == "RGBA" else "L")
        picture.putalpha(alpha)
        visible = np.asarray(alpha)
    picture.save(bench.input / "a.png")
    image, mask = bench.run("LoadImage", image="a.png").values
    assert isinstance(image, np.ndarray)
    assert isinstance(mask, np.ndarray)
    assert image.shape == (1, 6, 8, 3)
    np.testing.assert_allclose(mask, 1 - visible[None] / 255, atol=1e-6)


def test_a_photograph_is_turned_upright(bench: Workbench) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(bench.input / "a.png", exif=exif)
    np.testing.assert_allclose(bench.image("LoadImage", image="a.png")[0] * 255, np.rot90(PIXELS, -1), atol=1e-3)


def test_an_animation_comes_in_as_a_batch(bench: Workbench) -> None:
    frames = [Image.fromarray(np.full((4, 4, 3), value, dtype=np.uint8)) for value in (10, 100, 200)]
    frames[0].save(bench.input / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    image, mask = bench.run("LoadImage", image="a.webp").values
    assert isinstance(image, np.ndarray)
    assert isinstance(mask, np.ndarray)
    assert (len(image), len(mask)) == (3, 3)
    np.testing.assert_allclose(image[:, 0, 0, 0] * 255, [10, 100, 200], atol=1)


def test_a_result_can_be_read_back_from_the_output_folder(bench: Workbench) -> None:
    bench.run("SaveImage", images=colours(1, 6, 8), filename_prefix="a/b")
    loaded = bench.image("LoadImage", image="a/b_00001_.png [output]")
    np.testing.assert_array_equal(loaded, colours(1, 6, 8))


def test_every_image_is_saved_under_a_number_of_its_own(bench: Workbench) -> None:
    images = colours(2, 6, 8)
    first = bench.run("SaveImage", images=images, filename_prefix="a/pic")
    assert first.ui == {
        "images": [
            {"filename": "pic_00001_.png", "subfolder": "a", "type": "output"},
            {"filename": "pic_00002_.png", "subfolder": "a", "type": "output"},
        ]
    }
    second = bench.run("SaveImage", images=images[:1], filename_prefix="a/pic")
    assert [path.name for path in bench.saved(second)] == ["pic_00003_.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(bench.saved(first)[0])), PIXELS)


def test_the_number_in_the_batch_may_be_in_the_name(bench: Workbench) -> None:
    result = bench.run("SaveImage", images=colours(2, 4, 4), filename_prefix="p%batch_num%")
    assert [path.name for path in bench.saved(result)] == ["p0_00001_.png", "p1_00002_.png"]


def test_values_outside_of_the_range_are_cut_off(bench: Workbench) -> None:
    image = np.array([-0.5, 0.0, 0.9999, 7.0], dtype=np.float32).reshape(1, 1, 4, 1).repeat(3, axis=3)
    saved = np.asarray(Image.open(bench.saved(bench.run("SaveImage", images=image, filename_prefix="a"))[0]))
    assert saved[0, :, 0].tolist() == [0, 0, 254, 255]


def test_the_workflow_is_in_the_png(bench: Workbench) -> None:
    bench.prompt = {"1": {"class_type": "EmptyImage", "inputs": {"text": "ø ☃"}}}
    bench.extra_pnginfo = {"workflow": {"id": "w"}}
    with Image.open(bench.saved(bench.run("SaveImage", images=colours(1, 4, 4), filename_prefix="a"))[0]) as picture:
        texts = {name: json.loads(text) for name, text in picture.info.items()}
    assert texts == {"prompt": bench.prompt, "workflow": {"id": "w"}}


def test_the_workflow_stays_out_when_metadata_is_disabled(bench: Workbench) -> None:
    bench.prompt, bench.disable_metadata = {"1": {"class_type": "EmptyImage", "inputs": {}}}, True
    with Image.open(bench.saved(bench.run("SaveImage", images=colours(1, 4, 4), filename_prefix="a"))[0]) as picture:
        assert picture.info == {}


def test_previews_go_to_the_temp_folder_under_random_letters(bench: Workbench) -> None:
    result = bench.run("PreviewImage", images=colours(2, 4, 4))
    names = [path.name for path in bench.saved(result)]
    assert [re.sub(r"_[a-z]{5}_", "_abcde_", name) for name in names] == [
        "ComfyUI_temp_abcde_00001_.png",
        "ComfyUI_temp_abcde_00002_.png",
    ]
    assert all(path.parent == bench.temp and path.exists() for path in bench.saved(result))


def webp(bench: Workbench, count: int) -> tuple[dict[str, object], Path]:
    result = bench.run(
        "SaveAnimatedWEBP",
        images=colours(count, 8, 8),
        filename_prefix="w",
        fps=8.0,
        lossless=True,
        quality=80,
        method="fastest",
    )
    assert result.ui is not None
    return dict(result.ui), bench.saved(result)[0]


def test_an_animated_webp_holds_all_frames_their_time_and_the_workflow(bench: Workbench) -> None:
    bench.prompt, bench.extra_pnginfo = {"1": {"class_type": "EmptyImage"}}, {"workflow": {"id": "w"}}
    ui, path = webp(bench, 3)
    assert ui == {"images": [{"filename": "w_00001_.webp", "subfolder": "", "type": "output"}], "animated": [True]}
    with Image.open(path) as picture:
        assert picture.n_frames == 3
        picture.seek(1)
        picture.load()
        assert picture.info["duration"] == 125
        exif = picture.getexif()
    assert exif[0x0110] == 'prompt:{"1": {"class_type": "EmptyImage"}}'
    assert exif[0x010F] == 'workflow:{"id": "w"}'


def test_one_image_is_not_said_to_be_animated(bench: Workbench) -> None:
    """The real node leaves the key out."""
    assert webp(bench, 1)[0].keys() == {"images"}


def test_an_animated_png_holds_all_frames_and_the_workflow(bench: Workbench) -> None:
    bench.prompt = {"1": {"class_type": "EmptyImage"}}
    result = bench.run("SaveAnimatedPNG", images=colours(3, 6, 8), filename_prefix="p", fps=10.0, compress_level=4)
    path = bench.saved(result)[0]
    with Image.open(path) as picture:
        assert (picture.n_frames, picture.info["duration"]) == (3, 100)
    assert b'comfprompt\0{"1": {"class_type": "EmptyImage"}}' in path.read_bytes()
