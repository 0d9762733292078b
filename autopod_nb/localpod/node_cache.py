"""Results of nodes, kept for the next job: the "classic" cache of ComfyUI, which knows what the last job used.

A node is the same node when its class, its inputs and everything upstream are the same, under whatever id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from .nodes import NodeClass, NodeResult


def is_link(value: object) -> TypeGuard[list[Any]]:
    """Say whether an input's value is `[node id, slot]`."""
    return (
        isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int | float)
    )


@dataclass(frozen=True, slots=True)
class Signatures:
    """Signature of each node of a graph; a node that cannot be signed (its file is gone) has None."""

    by_node: Mapping[str, str | None]

    @classmethod
    def of(cls, graph: Mapping[str, Any], nodes: Mapping[str, NodeClass], input_dir: Path) -> Signatures:
        """Sign a validated graph.

        Args:
            graph: In API format.
            nodes: Node classes by name.
            input_dir: Folder of uploads, for the content of files that nodes read.
        """
        signed: dict[str, str | None] = {}

        def sign(node_id: str) -> str | None:
            if node_id not in signed:
                signed[node_id] = None  # an unused branch may hold a cycle
                signed[node_id] = _sign(graph[node_id])
            return signed[node_id]

        def _sign(node: Mapping[str, Any]) -> str | None:
            constants: dict[str, object] = {}
            links: dict[str, object] = {}
            for name, value in node.get("inputs", {}).items():
                if not is_link(value):
                    constants[name] = value
                    continue
                source = sign(value[0]) if value[0] in graph else None
                if source is None:
                    return None
                links[name] = [source, value[1]]
            try:
                content = nodes[node["class_type"]].fingerprint(constants, input_dir)
            except OSError:
                return None
            text = json.dumps([node["class_type"], constants, links, content], sort_keys=True)
            return hashlib.sha256(text.encode()).hexdigest()

        for node_id in graph:
            sign(node_id)
        return cls(signed)


class NodeCache:
    """Results by signature. Used by the worker thread only."""

    def __init__(self) -> None:
        self._results: dict[str, NodeResult] = {}
        self._signatures = Signatures({})

    def begin(self, signatures: Signatures) -> None:
        """Start a job: forget what it does not use."""
        self._signatures = signatures
        used = set(signatures.by_node.values())
        self._results = {key: result for key, result in self._results.items() if key in used}

    def get(self, node_id: str) -> NodeResult | None:
        """Return the kept result of a node of the job."""
        signature = self._signatures.by_node.get(node_id)
        return None if signature is None else self._results.get(signature)

    def put(self, node_id: str, result: NodeResult) -> None:
        """Keep a result for this job and, if it uses the same, the next one."""
        signature = self._signatures.by_node.get(node_id)
        if signature is not None:
            self._results[signature] = result

    def clear(self) -> None:
        """Forget everything, as `/free` asks."""
        self._results = {}
