from __future__ import annotations

from itertools import pairwise

import pytest

from autopod_nb.localpod.nodes import NODES, models
from autopod_nb.localpod.nodes.simulation import (
    GPU_VARIABLE,
    SIMULATED,
    gpu,
    model_names,
    simulated_before,
    step_s,
)
from tests.localpod.nodes.workbench import Workbench


@pytest.fixture
def a40(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """A bench with an A40, so to speak."""
    monkeypatch.setenv(GPU_VARIABLE, "NVIDIA A40")
    return bench


def test_without_a_gpu_there_are_no_models_and_no_pauses(bench: Workbench) -> None:
    """Then the lists are those of the recordings."""
    assert (gpu(), step_s(), model_names("vae", bench.input)) == ("", 0, [])
    for name in sorted(SIMULATED):
        assert NODES[name].info_now(bench.input) == NODES[name].info


def test_a_better_gpu_is_not_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    paces = []
    for name in ("RTX 4090", "NVIDIA RTX A6000", "A40", "RTX 3090", "RTX A5000"):
        monkeypatch.setenv(GPU_VARIABLE, name)
        paces.append(step_s())
    assert paces[0] > 0
    assert all(fast <= slow for fast, slow in pairwise(paces))
    monkeypatch.setenv(GPU_VARIABLE, "H999")
    assert step_s() > 0


def test_with_a_gpu_the_usual_models_are_there(a40: Workbench) -> None:
    unets = NODES["UNETLoader"].info_now(a40.input)["input"]["required"]["unet_name"][0]
    assert "wan2.1_i2v_480p_14B_fp16.safetensors" in unets
    assert NODES["VAELoader"].info_now(a40.input)["input"]["required"]["vae_name"][0][-1] == "pixel_space"
    assert NODES["UNETLoader"].info["input"]["required"]["unet_name"][0] == []


def test_files_below_models_are_listed_too(bench: Workbench) -> None:
    folder = bench.base / "models" / "diffusion_models"
    folder.mkdir(parents=True)
    (folder / "mine.safetensors").touch()
    assert NODES["UNETLoader"].info_now(bench.input)["input"]["required"]["unet_name"][0] == ["mine.safetensors"]


def test_every_class_for_models_counts_as_simulated() -> None:
    assert {entry.name for entry in models.NODES} == SIMULATED


def node(name: str, **inputs: object) -> dict[str, object]:
    return {"class_type": name, "inputs": inputs}


def test_what_stands_before_a_node_is_found_and_nothing_else() -> None:
    prompt = {
        "1": node("UNETLoader"),
        "2": node("KSampler", model=["1", 0], latent_image=["4", 0]),
        "3": node("SaveImage", images=["2", 0]),
        "4": node("VAEEncode", vae=["5", 0]),
        "5": node("VAELoader", vae_name="pixel_space"),
        "6": node("SaveImage", images=["4", 0]),
        "7": node("VAEDecode", vae=["8", 0], samples=["7", 0]),
        "8": node("VAELoader", vae_name="wan_2.1_vae.safetensors"),
    }
    assert simulated_before(prompt, "3") == ["KSampler", "UNETLoader"]
    assert simulated_before(prompt, "6") == []
    assert simulated_before(prompt, "7") == ["VAELoader"]
    assert simulated_before(prompt, "missing") == []
