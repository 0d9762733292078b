"""The built-in engine: one worker thread that takes jobs from the queue and runs them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from .comfy_socket import SocketHub
from .executor import Executor
from .nodes import NodeClass
from .nodes.folders import Folders
from .prompt_queue import Entry, PromptQueue
from .running_job import Job

STOP_WAIT_S = 5.0  # for a node in the middle of its work; guessed


class Engine:
    """Queue, worker and messages. `start` and `stop` once each; all else from any thread.

    Args:
        nodes: Node classes by name.
        folders: Where files are read and written.
        hub: Where messages go.
        log: The server's log.
    """

    def __init__(self, nodes: Mapping[str, NodeClass], folders: Folders, hub: SocketHub, log: logging.Logger) -> None:
        self.nodes = nodes
        self.folders = folders
        self.hub = hub
        self.log = log
        self.queue = PromptQueue(self._tell_status)
        self._executor = Executor(nodes, folders, log)
        self._number = 0
        self._accepted = 0
        self._numbers = threading.Lock()
        self._forget_results = threading.Event()
        self._stopping = threading.Event()
        self._worker = threading.Thread(target=self._work, name="comfyui-worker", daemon=True)

    def start(self) -> None:
        """Start the worker."""
        self._worker.start()

    def stop(self) -> None:
        """Interrupt what runs and end the worker; blocks for at most `STOP_WAIT_S`."""
        self._stopping.set()
        self._executor.interrupt()
        self.queue.wake()
        self._worker.join(STOP_WAIT_S)

    def next_number(self, *, front: bool) -> int:
        """Return the number of the next post; posts that are refused later count too."""
        with self._numbers:
            number = self._number
            self._number += 1
        return -number if front else number

    def next_order(self) -> int:
        """Return a number that grows with each accepted post."""
        with self._numbers:
            self._accepted += 1
            return self._accepted

    def interrupt(self, prompt_id: str | None) -> None:
        """Stop what runs; with an id, only if it is that job."""
        running = self.queue.running()
        if prompt_id and (running is None or running.prompt_id != prompt_id):
            self.log.info("Prompt %s is not currently running, skipping interrupt", prompt_id)
            return
        self.log.info("Interrupting prompt %s", prompt_id) if prompt_id else self.log.info("Global interrupt")
        self._executor.interrupt()

    def forget_results(self) -> None:
        """Empty the cache, after the running job."""
        self._forget_results.set()
        self.queue.wake()

    def status(self) -> dict[str, Any]:
        """Return what `GET /prompt` answers."""
        return {"exec_info": {"queue_remaining": self.queue.remaining()}}

    def greeting(self, client_id: str) -> list[tuple[str, Any]]:
        """Return the messages for a socket that just opened."""
        messages: list[tuple[str, Any]] = [("status", {"status": self.status(), "sid": client_id})]
        current = self._executor.current
        if current is not None and current[0] == client_id:
            messages.append(("executing", {"node": current[1]}))
        return messages

    def _tell_status(self) -> None:
        self.hub.send("status", {"status": self.status()})

    def _work(self) -> None:
        while not self._stopping.is_set():
            entry = self.queue.take()
            if entry is not None:
                self._run(entry)
            if self._forget_results.is_set():
                self._forget_results.clear()
                self._executor.cache.clear()

    def _run(self, entry: Entry) -> None:
        started_s = time.perf_counter()
        job = Job(entry, self.hub)
        try:
            self._executor.run(job)
        except Exception:  # the worker must outlive a fault of the engine itself
            self.log.exception("The engine failed")
        self.queue.done(entry, job.result())
        job.tell_owner("executing", {"node": None})
        self.log.info("Prompt executed in %.2f seconds", time.perf_counter() - started_s)
