"""An image-to-video job with models, which this machine does not have, from upload to file on the built-in engine."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from autopod_nb.localpod.nodes.simulation import GPU_VARIABLE
from tests.localpod.comfy_harness import Client, EngineThread, Message
from tests.localpod.nodes.wan import FRAMES, HEIGHT, SAVE_MP4, WIDTH, wan
from tests.localpod.nodes.workbench import gradient

SAMPLER, SAVER = "12", "20"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of an engine that claims to have a GPU."""
    monkeypatch.setenv(GPU_VARIABLE, "RTX 4090")
    with EngineThread(tmp_path) as engine:
        client = Client(engine.url)
        picture = io.BytesIO()
        Image.fromarray((gradient(1, HEIGHT, WIDTH)[0] * 255).astype(np.uint8)).save(picture, "PNG")
        assert client.upload("start.png", picture.getvalue()).json()["name"] == "start.png"
        yield client
        client.close()


def previews(frames: list[Message]) -> list[tuple[dict[str, Any], bytes]]:
    """Return header and picture of each preview with metadata."""
    found = []
    for frame in frames:
        if frame["type"] == "binary" and frame["kind"] == 4:
            (size,) = struct.unpack(">I", frame["data"][:4])
            found.append((json.loads(frame["data"][4 : 4 + size]), frame["data"][4 + size :]))
    return found


def run(client: Client) -> tuple[list[Message], dict[str, Any]]:
    """Run the job; returns what its client heard, and what it left."""
    with client.listening(metadata=True) as listener:
        extra = {"preview_method": "auto"}
        prompt_id = client.submit(wan(last=SAVE_MP4), listener.client_id, extra_data=extra)
        listener.wait_end(prompt_id)
        entry = client.past(prompt_id)
        assert entry["status"]["status_str"] == "success", entry["status"]
        return list(listener.frames), entry["outputs"]


def test_steps_and_previews_come_as_from_a_real_sampler(client: Client) -> None:
    frames, _ = run(client)
    steps = [f["data"] for f in frames if f["type"] == "progress" and f["data"]["node"] == SAMPLER]
    assert [(step["value"], step["max"]) for step in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    shown = previews(frames)
    assert [(header["node_id"], header["image_type"]) for header, _ in shown] == [(SAMPLER, "image/jpeg")] * 4
    for _, picture in shown:
        assert max(Image.open(io.BytesIO(picture)).size) == 512


def test_the_video_says_in_every_frame_and_in_its_metadata_that_it_is_simulated(client: Client) -> None:
    _, outputs = run(client)
    (item,) = outputs[SAVER]["images"]
    assert outputs[SAVER]["animated"] == [True]
    answer = client.request("GET", "/view", params=item)
    with av.open(io.BytesIO(answer.content)) as container:
        said = json.loads(container.metadata["simulated"])
        assert json.loads(container.metadata["prompt"]).keys() == wan(last=SAVE_MP4).keys()
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert {"UNETLoader", "CLIPVisionEncode", "WanImageToVideo", "KSampler"} <= set(said["classes"])
    assert len(pictures) == FRAMES
    for picture in pictures:  # white letters on black, which the picture has nowhere
        corner = picture[-8:, : WIDTH // 3]
        assert corner.min() < 40
        assert corner.max() > 190
        assert picture[: HEIGHT // 2].max() < 190
