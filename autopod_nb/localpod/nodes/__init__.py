"""The node classes of the built-in engine, by name, and the types that the engine speaks with them.

Nodes do what the nodes of the same name of ComfyUI do, as far as it shows on the wire and in files. Loaders and
samplers of models are a simulation and mark whatever they make as simulated.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import audio, filters, image_files, images, latents, models, primitives, video
from .base import Interrupted, NodeClass, NodeContext, NodeResult

__all__ = ["NODES", "Interrupted", "NodeClass", "NodeContext", "NodeResult"]

NODES: Mapping[str, NodeClass] = {
    node.name: node
    for module in (image_files, images, filters, audio, video, latents, models, primitives)
    for node in module.NODES
}
