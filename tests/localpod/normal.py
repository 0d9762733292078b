"""What counts as the same answer: the normalisation under which a server is compared with recordings.

Left out or replaced, because they may differ from run to run or from machine to machine:

- prompt ids (by the recorded ones) and times;
- counters and random parts of file names, e.g. `seed_00005_.png` → `seed_#_.png`;
- tracebacks, texts of objects in `current_inputs`, the seconds in `Prompt executed in …`;
- tooltips, descriptions and search words of `/object_info` and `input_config`, which the recordings leave out;
- the list of model files that a loader offers, and the error texts that quote it;
- the order of whatever the real server takes from a set: lines of `error.details`, faults of a node,
  `dependent_outputs`, `executed`, `current_outputs`, outputs to execute; and the order among independent nodes;
- steps of one node, whose number depends on the speed: all of them together count as one `steps`;
- `status` messages where jobs overlap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]
Key = tuple[Any, ...]
TIMES = frozenset(
    {"timestamp", "create_time", "execution_start_time", "execution_end_time", "t", "modified", "created"}
)
WORDS = frozenset({"tooltip", "description", "search_aliases", "traceback"})
SETS = frozenset({"executed", "current_outputs", "dependent_outputs"})
COUNTER = re.compile(r"_\d{5}_")
TEMP_NAME = re.compile(r"ComfyUI_temp_[a-z]{5}")
MODEL_LIST = re.compile(r"(ckpt_name: '[^']*' not in ).*")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+")
SECONDS = re.compile(r"\d+\.\d\d seconds")


@dataclass(frozen=True)
class Normal:
    """Makes answers of one run comparable.

    Args:
        ids: The recorded prompt id for each one of this run.
    """

    ids: Mapping[str, str]

    def json(self, value: Any, name: str = "") -> Any:
        """Return a JSON value in normal form."""
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return self._list(value, name)
        if isinstance(value, str):
            return self.text(value)
        return value

    def text(self, text: str) -> Any:
        """Return a text in normal form."""
        text = self.ids.get(text, text)
        text = TEMP_NAME.sub("ComfyUI_temp_?", COUNTER.sub("_#_", text))
        text = MOMENT.sub("<time>", text)
        return SECONDS.sub("# seconds", MODEL_LIST.sub(r"\1<choices>", text))

    def _object(self, value: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, item in value.items():
            if name in WORDS:
                continue
            if name in TIMES:
                result[name] = "<time>"
            elif name == "current_inputs":
                result[name] = {key: [_plain(part) for part in parts] for key, parts in item.items()}
            elif (name == "input_config" and item and item[0] == []) or (name == "input_config" and _models(value)):
                result[name] = "<choices>"
            elif name == "details" and isinstance(item, str):
                result[name] = sorted(str(self.text(line)) for line in item.split("\n"))
            else:
                result[self.ids.get(name, name)] = self.json(item, name)
        return result

    def _list(self, value: list[Any], name: str) -> Any:
        if _is_entry(value):
            *most, outputs = value
            return [*(self.json(part) for part in most), sorted(outputs)]
        items = [self.json(item) for item in value]
        if name in SETS:
            return sorted(items)
        if name == "errors":
            return sorted(items, key=lambda fault: (fault["type"], str(fault["details"])))
        return items


def _is_entry(value: list[Any]) -> bool:
    """Say whether a list is a queue entry."""
    return len(value) == 5 and isinstance(value[1], str) and isinstance(value[2], dict) and isinstance(value[4], list)


def _models(value: Mapping[str, Any]) -> bool:
    return value.get("input_name") == "ckpt_name"


def _plain(value: Any) -> Any:
    return value if not isinstance(value, str) or (len(value) < 20 and "object" not in value) else "<object>"


def key_of(message: Message, ids: Mapping[str, str]) -> Key | None:
    """Return what a message about a job or of the log says, in short; None for all others.

    Args:
        message: A frame.
        ids: As of `Normal`.
    """
    kind, data = message["type"], message.get("data")
    if kind == "logs":
        return "", "logs", Normal({}).text(message["data"]["entries"][0]["m"])
    if not isinstance(data, dict) or "prompt_id" not in data:
        return None
    prompt_id = ids.get(data["prompt_id"], data["prompt_id"])
    if kind == "progress":
        return prompt_id, "steps", data["node"]
    if kind == "progress_state":
        node, state = list(data["nodes"].items())[-1]
        return prompt_id, "state", node, state["state"]
    return prompt_id, kind, data.get("node", data.get("node_id"))


@dataclass
class JobStory:
    """What one socket heard of one job.

    Args:
        prompt_id: The recorded one.
        frame: Its messages that belong to no node, in order, with their data.
        nodes: For each node, its messages in order.
        order: The nodes in the order of their first message.
    """

    prompt_id: str
    frame: list[Any]
    nodes: dict[str, list[Any]]
    order: list[str]

    def comparable(self) -> tuple[Any, ...]:
        return self.prompt_id, self.frame, self.nodes


def stories(frames: list[Message], normal: Normal) -> list[JobStory]:
    """Cut what a socket heard into jobs, and each job into nodes.

    The messages of a node must be together, and `progress_state` must list every node before it: asserted here.
    """
    told: list[JobStory] = []
    over = True
    for message in frames:
        data = message.get("data")
        if message["type"] in {"status", "feature_flags", "logs", "binary"} or not isinstance(data, dict):
            continue
        prompt_id = normal.ids.get(data.get("prompt_id", ""), data.get("prompt_id", ""))
        if over or message["type"] == "execution_start" or (prompt_id and told[-1].prompt_id not in {prompt_id, ""}):
            told.append(JobStory(prompt_id, [], {}, []))
        told[-1].prompt_id = told[-1].prompt_id or prompt_id
        _add(told[-1], message, normal)
        over = message["type"] == "executing" and data["node"] is None
    return told


def _add(story: JobStory, message: Message, normal: Normal) -> None:
    kind, data = message["type"], message["data"]
    node = data.get("node")
    if kind == "progress_state":
        node, line = _state(story, data)
    elif kind == "progress":
        line = ["steps", data["max"]]
    else:
        line = [kind, normal.json(data)]
    if kind == "execution_cached":
        line[1]["nodes"].sort()
    if node is None or kind.startswith("execution_"):
        story.frame.append(line)
        return
    if node not in story.nodes:
        story.order.append(node)
    assert story.order[-1] == node, f"messages of node {node} are not together"
    lines = story.nodes.setdefault(node, [])
    if line[0] != "steps" or line not in lines:
        lines.append(line)


def _state(story: JobStory, data: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return the node that a `progress_state` is about, which is the last one, and what it says."""
    assert set(story.order) <= set(data["nodes"]) or not story.nodes or not story.frame
    node, state = list(data["nodes"].items())[-1]
    assert (state["node_id"], state["display_node_id"], state["real_node_id"]) == (node, node, node)
    if state["state"] == "running" and state["value"] > 0:
        return node, ["steps", state["max"]]
    return node, ["state", state["state"], state["value"] == state["max"]]
