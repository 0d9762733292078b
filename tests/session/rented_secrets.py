"""Looks for what must not be seen: in files, in command lines while they live, and in everything that is shown."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from autopod_nb.clock import SystemClock
from autopod_nb.models.snapshot import Snapshot
from autopod_nb.widgets import card, render
from autopod_nb.widgets.status_json import status_json

_LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class Find:
    """A mark that was found.

    Attributes:
        mark: its name.
        place: where it was.
    """

    mark: str
    place: str


@dataclass
class Search:
    """Searches for marks.

    Attributes:
        marks: name → text that must not be seen.
        own: files that may hold them, below the home: the private key is where it belongs.
        found: what was found by now.
        looked: how many texts were looked through by place: a search that looked at nothing has proved nothing.
    """

    marks: Mapping[str, str]
    own: frozenset[str] = frozenset()
    found: set[Find] = field(default_factory=set)
    looked: Counter[str] = field(default_factory=Counter)

    def text(self, place: str, *texts: object) -> None:
        """Look through something that is shown or raised: as text, and as a developer sees it."""
        for each in texts:
            for form in (str(each), repr(each)):
                self._look(place, form.encode(errors="replace"))

    def folder(self, home: Path) -> None:
        """Look through the name and the bytes of every file of a home."""
        for path in sorted(home.rglob("*")):
            name = str(path.relative_to(home))
            self._look(f"the name {name}", name.encode())
            if path.is_file() and name not in self.own:
                self._look(name, path.read_bytes())

    def command_lines(self, but: Iterable[int] = ()) -> None:
        """Look through every process of this machine that can be read, but these."""
        left_out = {str(pid) for pid in but}
        for entry in Path("/proc").glob("[0-9]*"):
            if entry.name not in left_out:
                with suppress(OSError):
                    self._look("a command line", (entry / "cmdline").read_bytes())

    def _look(self, place: str, data: bytes) -> None:
        self.looked[place] += 1
        for name, mark in self.marks.items():
            if mark.encode() in data:
                self.found.add(Find(name, place))

    @contextmanager
    def watching(self, but: Iterable[int] = ()) -> Iterator[None]:
        """Look through command lines a hundred times a second meanwhile."""
        stop, clock, own = threading.Event(), SystemClock(), tuple(but)

        def watch() -> None:
            while not clock.wait(stop, _LOOK_S):
                self.command_lines(own)

        watcher = threading.Thread(target=watch, name="secrets-watcher")
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()


def private_key_marks(path: Path) -> dict[str, str]:
    """The lines of a private SSH key but the first and the one that all keys begin with: marks of a search."""
    return {f"line {at} of the private SSH key": line for at, line in enumerate(path.read_text().splitlines()[2:-1], 3)}


def faces(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Everything that a person is shown of a session: (which face, its text)."""
    yield "the panel", card.session_html(snapshot)
    yield "the text of the panel", render.session_text(snapshot)
    yield "the JSON of the status", str(status_json(snapshot))
    yield "what still bills", render.still_bills(snapshot)
    for pod in snapshot.pods.values():
        yield f"pod {pod.pod_id}", card.pod_html(pod)
    for job in snapshot.jobs.values():
        yield f"job {job.job_id}", card.job_html(job)
        yield f"the text of job {job.job_id}", render.job_text(job)


def here() -> int:
    """This process: a test may know the marks."""
    return os.getpid()
