"""The shapes of node classes as `/object_info` gives them, read once from the file beside this module.

They were taken from a real ComfyUI 0.12.1, without tooltips and descriptions, and as a server without files and models.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any


@cache
def shapes() -> Mapping[str, Mapping[str, Any]]:
    """Return the shape of every class of the file, by name."""
    text = resources.files(__package__).joinpath("object_info.json").read_text(encoding="utf-8")
    loaded: dict[str, Mapping[str, Any]] = json.loads(text)
    return loaded


def with_choices(info: Mapping[str, Any], choices: Mapping[str, list[str]]) -> Mapping[str, Any]:
    """Return a copy of a shape with other lists of choices.

    Args:
        info: The entry of `/object_info`, with either spelling of a choice: `[["a"], {}]` or
            `["COMBO", {"options": ["a"]}]`.
        choices: New lists by input name.
    """
    changed: dict[str, Any] = dict(copy.deepcopy(info))
    for group in ("required", "optional"):
        for name, spec in changed["input"].get(group, {}).items():
            if name not in choices:
                continue
            if spec[0] == "COMBO":
                spec[1]["options"] = choices[name]
            else:
                spec[0] = choices[name]
    return changed
