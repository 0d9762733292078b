"""Runs jobs: which nodes, in which order, and what is said meanwhile.

The order of messages is that of ComfyUI 0.12.1, as recorded. Where the real server walks a Python set, the order here
is fixed: what is nearest to an output first, then the order in the workflow.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Mapping
from typing import Any

from .node_cache import NodeCache, Signatures, is_link
from .nodes import Interrupted, NodeClass, NodeResult
from .nodes.folders import Folders
from .progress import Progress
from .running_job import Job, RunningNode, type_name


class Executor:
    """Runs jobs one after another, in the worker thread.

    Args:
        nodes: Node classes by name.
        folders: Where files are read and written.
        log: The server's log.
    """

    def __init__(self, nodes: Mapping[str, NodeClass], folders: Folders, log: logging.Logger) -> None:
        self._nodes = nodes
        self._folders = folders
        self._log = log
        self._interrupt = threading.Event()
        self.cache = NodeCache()
        self.current: tuple[str | None, str] | None = None
        """Client id and node of the running job; read by any thread."""

    def interrupt(self) -> None:
        """Stop the running job at its next step or node; has no effect on a job that starts later."""
        self._interrupt.set()

    def run(self, job: Job) -> None:
        """Run a job to its end; what happened to it is in its messages."""
        self._interrupt.clear()
        entry = job.entry
        job.record("execution_start", {"prompt_id": entry.prompt_id})
        self.cache.begin(Signatures.of(entry.graph, self._nodes, self._folders.input))
        cached = [node_id for node_id in entry.graph if self.cache.get(node_id) is not None]
        job.record("execution_cached", {"nodes": cached, "prompt_id": entry.prompt_id})
        previews = entry.extra_data.get("preview_method") in {"auto", "latent2rgb", "taesd"}
        steps = Progress(entry.prompt_id, job, previews=previews)
        results: dict[str, NodeResult] = {}
        needs = {node_id: self._needs(node, entry.graph) for node_id, node in entry.graph.items()}
        try:
            for node_id in plan(needs, entry.outputs, frozenset(cached)):
                if not self._run_node(node_id, job, steps, results):
                    return
            job.record("execution_success", {"prompt_id": entry.prompt_id})
        finally:
            self.current = None

    def _run_node(self, node_id: str, job: Job, steps: Progress, results: dict[str, NodeResult]) -> bool:
        """Run one node, or take it from the cache; False if that ended the job."""
        cached = self.cache.get(node_id)
        if cached is not None:
            if job.client_id is not None:
                job.tell_owner("executed", {"node": node_id, "display_node": node_id, "output": cached.ui})
                job.keep_output(node_id, cached)
            steps.finish(node_id)
            return True
        steps.start(node_id)
        self.current = (job.client_id, node_id)
        job.tell_owner("executing", {"node": node_id, "display_node": node_id})
        inputs: dict[str, object] = {}
        try:
            inputs.update(self._inputs(job.entry.graph[node_id], results))
            context = self._context(node_id, job, steps)
            context.check()
            result = self._nodes[job.entry.graph[node_id]["class_type"]].run(context, **inputs)
        except Interrupted:
            self._log.info("Processing interrupted")
            job.record("execution_interrupted", _place(job, node_id), everybody=True)
            return False
        except Exception as error:  # noqa: BLE001 - whatever a node raises is the job's end, not the engine's
            self._log.error("!!! Exception during processing !!! %s\n%s", error, traceback.format_exc())
            job.record("execution_error", _place(job, node_id) | _described(error, inputs, job))
            return False
        results[node_id] = result
        self.cache.put(node_id, result)
        if result.ui:
            job.tell_owner("executed", {"node": node_id, "display_node": node_id, "output": result.ui})
        job.keep_output(node_id, result)
        steps.finish(node_id)
        job.executed.append(node_id)
        return True

    def _context(self, node_id: str, job: Job, steps: Progress) -> RunningNode:
        return RunningNode(
            node_id=node_id,
            input_dir=self._folders.input,
            output_dir=self._folders.output,
            temp_dir=self._folders.temp,
            prompt=job.entry.graph,
            extra_pnginfo=job.entry.extra_data.get("extra_pnginfo"),
            steps=steps,
            interrupt=self._interrupt,
        )

    def _known(self, node: Mapping[str, Any]) -> dict[str, object]:
        """Return the inputs which a node's class has; others are ignored, as by the real server."""
        shape = self._nodes[node["class_type"]].info["input"]
        known = {*shape.get("required", {}), *shape.get("optional", {})}
        # The parts of a dynamic input are called `images.image0`, `images.image1` …
        return {name: value for name, value in node.get("inputs", {}).items() if name.partition(".")[0] in known}

    def _needs(self, node: Mapping[str, Any], graph: Mapping[str, Any]) -> set[str]:
        return {value[0] for value in self._known(node).values() if is_link(value) and value[0] in graph}

    def _inputs(self, node: Mapping[str, Any], results: Mapping[str, NodeResult]) -> dict[str, object]:
        """Return the values of a node's inputs, links followed."""
        values: dict[str, object] = {}
        for name, value in self._known(node).items():
            if is_link(value):
                source = results.get(value[0]) or self.cache.get(value[0])
                values[name] = None if source is None else source.values[int(value[1])]
            else:
                values[name] = value
        return values


def plan(needs: Mapping[str, set[str]], outputs: tuple[str, ...], cached: frozenset[str]) -> list[str]:
    """Put the nodes that a job needs in order.

    Args:
        needs: For each node of the workflow, in its order, the nodes that it takes something from; without cycles.
        outputs: The output nodes to run.
        cached: Nodes whose result is at hand; what only they need is left out.

    Returns:
        Ids, each after everything that it needs; among those that could run, the one nearest to an output first, so
        that results appear early.
    """
    missing: dict[str, set[str]] = {}
    distance: dict[str, int] = {}
    layer, steps = list(outputs), 0
    while layer:
        for node_id in layer:
            distance[node_id] = steps
            missing[node_id] = set() if node_id in cached else needs[node_id] - cached
        layer = list({source: None for node_id in layer for source in missing[node_id] if source not in distance})
        steps += 1
    place = {node_id: index for index, node_id in enumerate(needs)}
    ordered: list[str] = []
    while missing:
        ready = [node_id for node_id, sources in missing.items() if not sources]
        chosen = min(ready, key=lambda node_id: (distance[node_id], place[node_id]))
        ordered.append(chosen)
        del missing[chosen]
        for sources in missing.values():
            sources.discard(chosen)
    return ordered


def _place(job: Job, node_id: str) -> dict[str, Any]:
    return {
        "prompt_id": job.entry.prompt_id,
        "node_id": node_id,
        "node_type": job.entry.graph[node_id]["class_type"],
        "executed": list(job.executed),
    }


def _described(error: Exception, inputs: Mapping[str, object], job: Job) -> dict[str, Any]:
    """Return the part of `execution_error` that says what went wrong."""
    return {
        "exception_message": f"{error}\n",
        "exception_type": type_name(error),
        "traceback": traceback.format_tb(error.__traceback__),
        "current_inputs": {name: [_plain(value)] for name, value in inputs.items()},
        "current_outputs": list(job.entry.graph),
    }


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int | float | str) else str(value)
