"""A small stand for nodes: folders, a context that remembers steps, and a walk through whole workflows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from autopod_nb.localpod.nodes import NODES, Interrupted, NodeResult
from autopod_nb.localpod.nodes.values import Floats, to_floats


@dataclass
class Step:
    """One call of `progress`."""

    value: float
    maximum: float
    preview: Image.Image | None


@dataclass
class Context:
    """What a node under test sees of its engine; `stop_at` interrupts it at that step."""

    node_id: str
    input_dir: Path
    output_dir: Path
    temp_dir: Path
    prompt: Mapping[str, Any]
    extra_pnginfo: Mapping[str, Any] | None
    disable_metadata: bool
    stop_at: int | None = None
    steps: list[Step] = field(default_factory=list)

    def progress(self, value: float, maximum: float, preview: Image.Image | None = None) -> None:
        if self.stop_at == len(self.steps):
            raise Interrupted
        self.steps.append(Step(value, maximum, preview))


@dataclass
class Workbench:
    """Runs nodes in folders below one base folder."""

    base: Path
    node_id: str = "1"
    prompt: Mapping[str, Any] = field(default_factory=dict)
    extra_pnginfo: Mapping[str, Any] | None = None
    disable_metadata: bool = False
    stop_at: int | None = None
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in (self.input, self.output, self.temp):
            folder.mkdir()

    @property
    def input(self) -> Path:
        return self.base / "input"

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def temp(self) -> Path:
        return self.base / "temp"

    def run(self, name: str, /, **inputs: object) -> NodeResult:
        context = Context(
            self.node_id,
            self.input,
            self.output,
            self.temp,
            self.prompt,
            self.extra_pnginfo,
            self.disable_metadata,
            self.stop_at,
        )
        try:
            return NODES[name].run(context, **inputs)
        finally:
            self.steps = context.steps

    def value(self, name: str, /, **inputs: object) -> Any:
        return self.run(name, **inputs).values[0]

    def image(self, name: str, /, **inputs: object) -> Floats:
        values: Floats = self.value(name, **inputs)
        return values

    def saved(self, result: NodeResult, key: str = "images") -> list[Path]:
        assert result.ui is not None
        return [self.base / entry["type"] / entry["subfolder"] / entry["filename"] for entry in result.ui[key]]

    def run_workflow(self, prompt: Mapping[str, Any]) -> dict[str, Mapping[str, list[Any]]]:
        """Run every output node of a workflow and return what they show, by node id."""
        self.prompt = prompt
        done: dict[str, tuple[object, ...]] = {}
        shown: dict[str, Mapping[str, list[Any]]] = {}

        def value_of(value: object) -> object:
            return made(value[0])[value[1]] if isinstance(value, list) else value

        def made(node_id: str) -> tuple[object, ...]:
            if node_id not in done:
                node = prompt[node_id]
                inputs = {name: value_of(value) for name, value in node["inputs"].items()}
                self.node_id = node_id
                result = self.run(node["class_type"], **inputs)
                done[node_id] = result.values
                if result.ui is not None:
                    shown[node_id] = result.ui
            return done[node_id]

        for node_id, node in prompt.items():
            if NODES[node["class_type"]].info["output_node"]:
                made(node_id)
        return shown


def colours(count: int, height: int, width: int, channels: int = 3) -> Floats:
    """Return random images of whole 8-bit values; the same ones every time."""
    pixels = np.random.default_rng(7).integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    return to_floats(pixels)


def gradient(count: int, height: int, width: int) -> Floats:
    """Return smooth images, each a little brighter than the last one."""
    across = np.linspace(0, 0.8, width, dtype=np.float32)[None, None, :, None]
    down = np.linspace(0, 1, height, dtype=np.float32)[None, :, None, None]
    steps = np.linspace(0, 0.2, count, dtype=np.float32)[:, None, None, None]
    tint = np.array([1.0, 0.7, 0.4], dtype=np.float32)
    return np.asarray((across + steps) * tint * (0.5 + 0.5 * down), dtype=np.float32)
