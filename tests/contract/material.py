"""Workflows and pictures for the contract."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

MATERIAL = Path(__file__).parents[1] / "recordings"

Graph = dict[str, Any]


def picture(name: str = "start_image.png") -> bytes:
    """Return one of the two small PNGs."""
    return (MATERIAL / "inputs" / name).read_bytes()


def fresh() -> int:
    """Return a number that no job had before, so that nothing is cached."""
    return uuid.uuid4().int >> 80


def text_job(value: int | None = None) -> Graph:
    """Return the smallest workflow: a number, shown as text."""
    return {
        "1": {"class_type": "PrimitiveInt", "inputs": {"value": fresh() if value is None else value}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
