"""Nodes for tests, whose pace a test decides."""
# ruff: noqa: ARG002 - the protocol of nodes asks for arguments that these nodes do not need

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from autopod_nb.localpod.nodes import NODES, NodeClass, NodeContext, NodeResult

PATIENCE_S = 20.0


def shape(name: str, inputs: Mapping[str, Any], *, outputs: list[str], shows: bool) -> dict[str, Any]:
    """Return an entry of `/object_info`."""
    return {
        "input": {"required": dict(inputs)},
        "input_order": {"required": list(inputs)},
        "is_input_list": False,
        "output": outputs,
        "output_is_list": [False] * len(outputs),
        "output_name": outputs,
        "name": name,
        "display_name": name,
        "description": "",
        "python_module": "tests",
        "category": "tests",
        "output_node": shows,
    }


@dataclass
class Probe:
    """A node whose work is a method of the test's own."""

    name: str
    info: Mapping[str, Any]
    runs: list[dict[str, object]] = field(default_factory=list)

    def info_now(self, input_dir: Path) -> Mapping[str, Any]:
        return self.info

    def validate(self, inputs: Mapping[str, object], input_dir: Path) -> str | None:
        return None

    def fingerprint(self, inputs: Mapping[str, object], input_dir: Path) -> str:
        return ""

    def run(self, ctx: NodeContext, **inputs: object) -> NodeResult:
        self.runs.append(inputs)
        return NodeResult((inputs.get("value"),))


@dataclass
class Gate(Probe):
    """Waits in the middle of its work until the test lets it go on; then reports its steps, with previews."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    steps: int = 4

    def run(self, ctx: NodeContext, **inputs: object) -> NodeResult:
        ctx.progress(0, self.steps)
        self.reached.set()
        assert self.opened.wait(PATIENCE_S)
        for step in range(1, self.steps + 1):
            ctx.progress(step, self.steps, Image.new("RGB", (64, 32), "red"))
        return super().run(ctx, **inputs)

    def close(self) -> None:
        self.reached.clear()
        self.opened.clear()


@dataclass
class Silent(Probe):
    """An output node that has nothing to show."""

    def run(self, ctx: NodeContext, **inputs: object) -> NodeResult:
        super().run(ctx, **inputs)
        return NodeResult()


@dataclass
class Faulty(Probe):
    """Raises."""

    def run(self, ctx: NodeContext, **inputs: object) -> NodeResult:
        raise ValueError("this node always fails")


VALUE = {"value": ["INT", {"default": 0, "min": 0, "max": 1000}]}


@dataclass
class Probes:
    """One of each, and the table that an engine wants."""

    gate: Gate = field(default_factory=lambda: Gate("Gate", shape("Gate", VALUE, outputs=["INT"], shows=False)))
    silent: Silent = field(default_factory=lambda: Silent("Silent", shape("Silent", VALUE, outputs=[], shows=True)))
    faulty: Faulty = field(
        default_factory=lambda: Faulty("Faulty", shape("Faulty", VALUE, outputs=["INT"], shows=False))
    )

    def nodes(self) -> dict[str, NodeClass]:
        probes: list[Probe] = [self.gate, self.silent, self.faulty]
        return {**NODES, **{probe.name: probe for probe in probes}}


def text_job(value: int) -> dict[str, Any]:
    """Return the smallest workflow: a number, shown as text."""
    return {
        "1": {"class_type": "PrimitiveInt", "inputs": {"value": value}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }


def gate_job(value: int = 1) -> dict[str, Any]:
    """Return a workflow that waits at the gate."""
    return {
        "1": {"class_type": "Gate", "inputs": {"value": value}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
