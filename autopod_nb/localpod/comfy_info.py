"""What the server says of itself: `/system_stats`, `/features`, `/object_info`, `/models`, and its page for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from .comfy_page import page
from .comfy_socket import FEATURES
from .nodes import NodeClass
from .nodes.simulation import model_names

VERSION = "0.12.1"  # of the ComfyUI whose behaviour this engine shows
MODEL_FOLDERS = (
    *("checkpoints", "configs", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision", "style_models"),
    *("embeddings", "diffusers", "vae_approx", "controlnet", "gligen", "upscale_models", "latent_upscale_models"),
    *("custom_nodes", "hypernetworks", "photomaker", "classifiers", "model_patches", "audio_encoders"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The GPU that the pod claims to have.

    Args:
        gpu_name: As a person knows it, e.g. `RTX A4000`.
        vram_bytes: Its memory.
    """

    gpu_name: str
    vram_bytes: int


class InfoRoutes:
    """The routes; all of them have a twin under `/api`."""

    def __init__(self, nodes: Mapping[str, NodeClass], input_dir: Path, machine: Machine) -> None:
        self._nodes = nodes
        self._input_dir = input_dir
        self._machine = machine

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/system_stats", self._stats),
            web.get("/features", self._features),
            web.get("/object_info", self._all_nodes),
            web.get("/object_info/{name}", self._one_node),
            web.get("/models", self._model_folders),
            web.get("/models/{folder}", self._models),
            web.get("/embeddings", self._nothing),
            web.get("/", self._page),
        ]

    async def _stats(self, _request: web.Request) -> web.Response:
        ram_page = os.sysconf("SC_PAGE_SIZE")
        system = {
            "os": sys.platform,
            "ram_total": os.sysconf("SC_PHYS_PAGES") * ram_page,
            "ram_free": os.sysconf("SC_AVPHYS_PAGES") * ram_page if "SC_AVPHYS_PAGES" in os.sysconf_names else 0,
            "comfyui_version": VERSION,
            "autopod_engine": True,
            "python_version": sys.version,
            "pytorch_version": "none",
            "embedded_python": False,
            "argv": sys.argv,
        }
        vram = self._machine.vram_bytes
        device = {"name": f"cuda:0 {self._machine.gpu_name} (simulated)", "type": "cuda", "index": 0}
        memory = {"vram_total": vram, "vram_free": vram, "torch_vram_total": 0, "torch_vram_free": 0}
        return web.json_response({"system": system, "devices": [device | memory]})

    async def _features(self, _request: web.Request) -> web.Response:
        return web.json_response(FEATURES)

    async def _all_nodes(self, _request: web.Request) -> web.Response:
        return web.json_response({name: node.info_now(self._input_dir) for name, node in self._nodes.items()})

    async def _one_node(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response({name: self._nodes[name].info_now(self._input_dir)} if name in self._nodes else {})

    async def _model_folders(self, _request: web.Request) -> web.Response:
        return web.json_response(MODEL_FOLDERS)

    async def _models(self, request: web.Request) -> web.Response:
        folder = request.match_info["folder"]
        known = folder in MODEL_FOLDERS
        return web.json_response(model_names(folder, self._input_dir)) if known else web.Response(status=404)

    async def _nothing(self, _request: web.Request) -> web.Response:
        return web.json_response([])

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=page(VERSION, self._machine.gpu_name), content_type="text/html")
