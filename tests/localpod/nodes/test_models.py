from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from autopod_nb.localpod.nodes import NODES, Interrupted
from autopod_nb.localpod.nodes.simulation import GPU_VARIABLE
from autopod_nb.localpod.nodes.values import Floats
from tests.localpod.nodes.wan import FRAMES, HEIGHT, SAVE_MP4, SAVE_PNG, WIDTH, node, wan
from tests.localpod.nodes.workbench import Workbench, gradient


@pytest.fixture
def started(bench: Workbench) -> Workbench:
    """A bench with a start picture."""
    Image.fromarray((gradient(1, HEIGHT, WIDTH)[0] * 255).astype(np.uint8)).save(bench.input / "start.png")
    return bench


def frames(bench: Workbench, prompt: dict[str, Any]) -> Floats:
    shown = bench.run_workflow(prompt)["20"]
    names = [entry["filename"] for entry in shown["images"]]
    return np.stack([np.asarray(Image.open(bench.output / name), dtype=np.float32) for name in names])


def test_every_input_of_the_graph_is_one_of_the_real_shape() -> None:
    for part in wan(last=SAVE_MP4).values():
        shape = NODES[part["class_type"]].info["input"]
        assert part["inputs"].keys() <= shape["required"].keys() | shape.get("optional", {}).keys()
        assert part["inputs"].keys() >= shape["required"].keys()


def test_a_video_begins_with_the_picture_and_moves_as_the_seed_says(started: Workbench) -> None:
    """Same seed, same video; another seed, another one; the first frame is the picture but for the mark."""
    first = frames(started, wan(5, last=SAVE_PNG))
    assert len(first) == FRAMES
    np.testing.assert_array_equal(frames(started, wan(5, last=SAVE_PNG)), first)
    assert np.abs(frames(started, wan(6, last=SAVE_PNG))[-1] - first[-1]).mean() > 1
    assert all((after != before).any() for before, after in pairwise(first))
    start = np.asarray(Image.open(started.input / "start.png"), dtype=np.float32)
    np.testing.assert_allclose(first[0, : HEIGHT // 2], start[: HEIGHT // 2], atol=1)


def test_simulated_is_drawn_into_every_frame(started: Workbench) -> None:
    """The corner is black with white letters, which the picture has nowhere."""
    for frame in frames(started, wan(last=SAVE_PNG)):
        corner = frame[-8:, : WIDTH // 3]
        assert corner.min() == 0
        assert corner.max() > 200
        assert frame[: HEIGHT // 2].max() < 200


@pytest.mark.parametrize("disable_metadata", [False, True])
def test_simulated_is_written_into_the_file(started: Workbench, *, disable_metadata: bool) -> None:
    started.disable_metadata = disable_metadata
    shown = started.run_workflow(wan(last=SAVE_MP4))["20"]
    with av.open(str(started.output / shown["images"][0]["filename"])) as container:
        said = json.loads(container.metadata["simulated"])
        assert ("prompt" in container.metadata) is not disable_metadata
        assert container.streams.video[0].frames == FRAMES
    assert {"KSampler", "UNETLoader", "WanImageToVideo"} <= set(said["classes"])


def test_a_picture_without_models_is_not_called_simulated(bench: Workbench) -> None:
    prompt = {
        "1": node("EmptyImage", width=32, height=32, batch_size=1, color=0),
        "2": node("SaveImage", images=["1", 0], filename_prefix="f"),
    }
    bench.run_workflow(prompt)
    with Image.open(bench.output / "f_00001_.png") as picture:
        assert picture.info.keys() == {"prompt"}


def sample(bench: Workbench, steps: int = 4, seed: int = 1, text: str = "a") -> Any:
    encoder = bench.value("CLIPLoader", clip_name="c", type="wan")
    latent = bench.value("EmptyLatentImage", width=WIDTH, height=HEIGHT, batch_size=1)
    positive = bench.value("CLIPTextEncode", text=text, clip=encoder)
    return bench.value("KSampler", seed=seed, steps=steps, positive=positive, latent_image=latent)


def test_a_sampler_reports_each_step_with_a_preview_that_clears_up(bench: Workbench) -> None:
    sample(bench)
    assert [(step.value, step.maximum) for step in bench.steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    pictures = [np.asarray(step.preview, dtype=np.float32) for step in bench.steps]
    assert pictures[0].shape == (HEIGHT, WIDTH, 3)
    distances = [np.abs(picture - pictures[-1]).mean() for picture in pictures]
    assert distances == sorted(distances, reverse=True)


def test_an_interrupt_stops_a_sampler(bench: Workbench) -> None:
    bench.stop_at = 2
    with pytest.raises(Interrupted):
        sample(bench, steps=1000)
    assert len(bench.steps) == 2


def test_a_gpu_sets_the_pace(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GPU_VARIABLE, "RTX 4090")
    before_s = time.monotonic()
    sample(bench, steps=3)
    assert time.monotonic() - before_s >= 0.3


def test_without_a_picture_text_and_seed_choose_the_colours(bench: Workbench) -> None:
    vae = bench.value("VAELoader", vae_name="sdxl.safetensors")

    def painted(seed: int, text: str) -> Floats:
        return bench.image("VAEDecode", samples=sample(bench, seed=seed, text=text), vae=vae)

    one = painted(1, "a")
    np.testing.assert_array_equal(painted(1, "a"), one)
    assert (painted(2, "a") != one).any()
    assert (painted(1, "b") != one).any()


def test_a_second_sampler_without_noise_goes_on_with_the_first_ones_seed(bench: Workbench) -> None:
    half = {"steps": 10, "positive": bench.value("ConditioningZeroOut", conditioning=None)}
    empty = bench.value("EmptyLatentImage", width=WIDTH, height=HEIGHT, batch_size=1)
    first = bench.value(
        "KSamplerAdvanced",
        add_noise="enable",
        noise_seed=3,
        start_at_step=0,
        end_at_step=6,
        latent_image=empty,
        **half,
    )
    assert bench.steps[-1].maximum == 6
    second = bench.value(
        "KSamplerAdvanced",
        add_noise="disable",
        noise_seed=99,
        start_at_step=6,
        end_at_step=10_000,
        latent_image=first,
        **half,
    )
    assert bench.steps[-1].maximum == 4
    assert second.seed == 3


def test_other_video_models_are_prepared_too(bench: Workbench) -> None:
    start = gradient(1, 40, 60)
    checkpoint = bench.run("ImageOnlyCheckpointLoader", ckpt_name="svd.safetensors")
    assert len(checkpoint.values) == 3
    svd = bench.run(
        "SVD_img2vid_Conditioning",
        clip_vision=checkpoint.values[1],
        init_image=start,
        vae=checkpoint.values[2],
        width=64,
        height=32,
        video_frames=14,
    )
    small = bench.run(
        "Wan22ImageToVideoLatent", vae=None, width=64, height=32, length=49, batch_size=1, start_image=start
    )
    assert [result.values[-1].pixels.shape for result in (svd, small)] == [(14, 32, 64, 3), (49, 32, 64, 3)]  # type: ignore[attr-defined]  # they are latents
