"""The job files that are shipped, one for each template, and the template that needs models."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import pytest

from autopod_nb.comfyui.workflow import fill, find_template, load_template
from autopod_nb.jobs.node_list import NodeList
from autopod_nb.jobs.preflight import check_files, preflight
from autopod_nb.jobs.spec import read_job_file
from tests.localpod.comfy_harness import Client, EngineThread

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "templates").glob("*.json"))
SHAPES = ROOT / "autopod_nb" / "localpod" / "nodes" / "object_info.json"  # of a real ComfyUI


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_each_template_has_a_job_file_that_could_run_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    spec = read_job_file(ROOT / "jobs" / path.name)
    template = load_template(find_template(spec.workflow_template, cwd=ROOT))
    assert template.path == path
    nodes = NodeList.from_object_info(json.loads(SHAPES.read_text(encoding="utf-8")))
    assert preflight(spec, template, nodes) == ()
    assert check_files(spec) == ()
    assert spec.pod_config.max_cost_usd


def test_img2vid_wan_runs_with_simulated_models_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an engine that claims a GPU the models are known by name: the list has nothing against them either."""
    monkeypatch.setenv("AUTOPOD_LOCALPOD_GPU", "RTX 4090")
    monkeypatch.chdir(ROOT)
    spec = read_job_file(ROOT / "jobs" / "img2vid-wan.json")
    template = load_template(ROOT / "templates" / "img2vid-wan.json")
    small = {**spec.params, "width": 128, "height": 96, "length": 9, "steps": 2, "Sampler.seed": 7}
    with EngineThread(tmp_path) as engine:
        client = Client(engine.url)
        nodes = NodeList.from_object_info(client.get("/object_info"))
        assert nodes.kinds["VAELoader"].inputs["vae_name"].choices != ("pixel_space",)
        assert preflight(spec, template, nodes) == ()
        portrait = spec.inputs["image"]
        name = client.upload(portrait.name, portrait.read_bytes()).json()["name"]
        entry = client.past(client.submit(fill(template, inputs={"image": name}, params=small)))
        assert entry["status"]["status_str"] == "success"
        [item] = entry["outputs"][template.resolve_output("video")]["images"]
        data = client.request("GET", "/view", params=item).content
        client.close()
    with av.open(io.BytesIO(data)) as video:
        assert "simulated" in video.metadata
        frames = [(frame.width, frame.height) for frame in video.decode(video=0)]
    assert frames == [(128, 96)] * 9
