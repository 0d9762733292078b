"""What the engine and the node classes agree on: the engine runs nodes, and nodes know nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image


class Interrupted(Exception):
    """The prompt was interrupted; `NodeContext.progress` raises it inside the running node."""


class NodeContext(Protocol):
    """What a running node may ask of the engine."""

    @property
    def node_id(self) -> str:
        """The id of the node in the submitted workflow."""

    @property
    def input_dir(self) -> Path:
        """Where uploads lie."""

    @property
    def output_dir(self) -> Path:
        """Where results are written."""

    @property
    def temp_dir(self) -> Path:
        """Where previews are written."""

    @property
    def prompt(self) -> Mapping[str, Any]:
        """The whole workflow in API format, for the metadata of files."""

    @property
    def extra_pnginfo(self) -> Mapping[str, Any] | None:
        """More metadata that the client sent, e.g. `{"workflow": ...}`."""

    @property
    def disable_metadata(self) -> bool:
        """Whether files are to be written without the workflow."""

    def progress(self, value: float, maximum: float, preview: Image.Image | None = None) -> None:
        """Report a step, perhaps with a preview picture. Called by nodes from the worker thread.

        Raises:
            Interrupted: The prompt is to stop; nodes let it pass.
        """


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What a node made.

    Args:
        values: One value for each output slot.
        ui: What `executed` messages and the history's `outputs` hold; None for a node that shows nothing.
    """

    values: tuple[object, ...] = ()
    ui: Mapping[str, list[Any]] | None = None


class NodeClass(Protocol):
    """One class of nodes, as the engine sees it."""

    @property
    def name(self) -> str:
        """The `class_type` of workflows."""

    @property
    def info(self) -> Mapping[str, Any]:
        """The entry of `/object_info`, of a server without files and models."""

    def info_now(self, input_dir: Path) -> Mapping[str, Any]:
        """Return `info` with the lists that depend on files as they are now."""

    def validate(self, inputs: Mapping[str, object], input_dir: Path) -> str | None:
        """Check what the shape cannot say, e.g. that a file is there.

        Args:
            inputs: Values of the inputs which are not links.
            input_dir: Folder of uploads; the output and temp folders lie beside it.

        Returns:
            The real server's sentence, e.g. `Invalid image file: x.png`; None if all is well.
        """

    def fingerprint(self, inputs: Mapping[str, object], input_dir: Path) -> str:
        """Return a hash of what the node reads beside its inputs; empty if its inputs alone count."""

    def run(self, ctx: NodeContext, **inputs: object) -> NodeResult:
        """Do the work. Called on the worker thread, with every required input present and converted."""
