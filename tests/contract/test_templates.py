"""The shipped templates that need no model: they run on every server."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from autopod_nb.comfyui.workflow import fill, load_template
from autopod_nb.jobs.node_list import NodeList
from autopod_nb.jobs.preflight import preflight
from autopod_nb.jobs.spec import make_spec
from tests.contract.material import fresh
from tests.localpod.comfy_harness import Client, Listener

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


def run(client: Client, listener: Listener, name: str, files: Mapping[str, str], params: Mapping[str, Any]) -> bytes:
    """Upload the files, check the job by the server's own node list, run it and return its video."""
    template = load_template(ROOT / "templates" / f"{name}.json")
    inputs = {key: ROOT / "jobs" / "inputs" / file for key, file in files.items()}
    spec = make_spec(name, inputs=inputs, params=params)
    assert preflight(spec, template, NodeList.from_object_info(client.get("/object_info"))) == ()
    names = {key: client.upload(path.name, path.read_bytes()).json()["name"] for key, path in inputs.items()}
    prompt_id = client.submit(fill(template, inputs=names, params=spec.params), listener.client_id)
    listener.wait_end(prompt_id, patience_s=250)
    entry = client.past(prompt_id)
    assert entry["status"]["status_str"] == "success"
    [item] = entry["outputs"][template.resolve_output("video")]["images"]
    return client.request("GET", "/view", params=item).content


def test_a_photograph_becomes_a_moving_video(client: Client, listener: Listener) -> None:
    data = run(
        client, listener, "img2vid-basic", {"image": "portrait.jpg"}, {"seed": fresh(), "width": 128, "height": 96}
    )
    with av.open(io.BytesIO(data)) as video:
        frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in video.decode(video=0)]
        assert not video.streams.audio
    assert [frame.shape for frame in frames] == [(96, 128, 3)] * 24
    assert np.abs(frames[0] - frames[-1]).mean() > 5


def test_a_picture_and_a_voice_become_a_video_of_the_seconds_that_were_asked_for(
    client: Client, listener: Listener
) -> None:
    """Seconds × frames a second are multiplied by the workflow itself; the voice is cut to that length."""
    params = {"seconds": 3, "fps": 4, "width": 128, "height": 96, "prefix": f"still-{fresh()}"}
    files = {"image": "portrait.jpg", "voice": "voice.wav"}
    data = run(client, listener, "still-with-voice", files, params)
    with av.open(io.BytesIO(data)) as video:
        frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in video.decode(video=0)]
        assert video.streams.video[0].average_rate == 4
        video.seek(0)
        sounds = [(frame.to_ndarray(), frame.sample_rate) for frame in video.decode(audio=0)]
    assert [frame.shape for frame in frames] == [(96, 128, 3)] * 12
    assert np.abs(frames[0] - frames[-1]).mean() < 3, "a still picture"
    assert frames[0].std() > 20, "that shows something"
    seconds = sum(sound.shape[-1] / rate for sound, rate in sounds)
    assert seconds == pytest.approx(3, abs=0.2)
    assert max(np.abs(sound).max() for sound, _ in sounds) > 0.05, "and a voice that can be heard"
