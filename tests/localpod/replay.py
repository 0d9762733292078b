"""Plays a recording of a real ComfyUI to another server: the same requests and sockets, in the same order.

Nothing is timed. Before each request or change of a socket the player waits until every job message that the recording
shows before it has arrived. The slow nodes of the recordings (`VAEEncodeTiled`, `VAEDecodeTiled`) are `Paced`: each run
of one waits after its first step until the recording, too, is past its end.
"""

from __future__ import annotations

import io
import json
import threading
import time
import wave
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from autopod_nb.localpod.nodes import NodeClass, NodeContext, NodeResult
from tests.localpod.comfy_harness import PATIENCE_S, Client, Listener
from tests.localpod.normal import Key, Normal, key_of

RECORDINGS = Path(__file__).parents[1] / "recordings"
PACED = ("VAEEncodeTiled", "VAEDecodeTiled")
Record = dict[str, Any]


def load(name: str) -> list[Record]:
    """Return the lines of a recording, without the remarks."""
    lines = (RECORDINGS / "recordings" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return [record for record in records if record["kind"] not in {"meta", "note", "ws_closed"}]


class Pace:
    """Lets the runs of slow nodes, counted from 0, go on to their end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun = 0
        self._allowed = 0

    def begin(self) -> int:
        with self._changed:
            self._begun += 1
            self._changed.notify_all()
            return self._begun - 1

    def allow(self, runs: int) -> None:
        with self._changed:
            self._allowed = max(self._allowed, runs)
            self._changed.notify_all()

    def wait_begun(self, run: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._begun > run, PATIENCE_S)

    def may_end(self, run: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._allowed > run, 0.01)


@dataclass(frozen=True)
class PacedNode:
    """A node that waits for its `Pace` after the first step."""

    inner: NodeClass
    pace: Pace

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def info(self) -> Mapping[str, Any]:
        return self.inner.info

    def info_now(self, input_dir: Path) -> Mapping[str, Any]:
        return self.inner.info_now(input_dir)

    def validate(self, inputs: Mapping[str, object], input_dir: Path) -> str | None:
        return self.inner.validate(inputs, input_dir)

    def fingerprint(self, inputs: Mapping[str, object], input_dir: Path) -> str:
        return self.inner.fingerprint(inputs, input_dir)

    def run(self, ctx: NodeContext, **inputs: object) -> NodeResult:
        return self.inner.run(PacedContext(ctx, self.pace, self.pace.begin()), **inputs)


class PacedContext:
    """A context whose first step waits."""

    def __init__(self, inner: NodeContext, pace: Pace, run: int) -> None:
        self._inner = inner
        self._pace = pace
        self._run = run
        self._waited = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def progress(self, value: float, maximum: float, preview: Any = None) -> None:
        self._inner.progress(value, maximum, preview)
        end_s = time.monotonic() + PATIENCE_S
        while not self._waited and not self._pace.may_end(self._run):
            assert time.monotonic() < end_s
            self._inner.progress(value, maximum)  # notices an interrupt
        self._waited = True


def paced(nodes: Mapping[str, NodeClass], pace: Pace) -> dict[str, NodeClass]:
    """Return the node classes with the slow ones paced."""
    return {name: PacedNode(node, pace) if name in PACED else node for name, node in nodes.items()}


@dataclass
class Played:
    """What came back for one recorded request."""

    record: Record
    status: int
    content_type: str
    body: bytes

    @property
    def label(self) -> str:
        return f"{self.record['method']} {self.record['path']} ({self.record.get('note', '')})"


@dataclass
class Player:
    """Plays one recording.

    Args:
        records: From `load`.
        client: Talks to the server under test.
        pace: Of that server's slow nodes.
        skip: Requests that the server cannot answer, by path.
    """

    records: list[Record]
    client: Client
    pace: Pace
    skip: frozenset[str] = frozenset()
    played: list[Played] = field(default_factory=list)
    sockets: dict[str, Listener] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    heard: dict[str, list[Key | None]] = field(default_factory=dict)
    caught_up: int = 0
    names: dict[str, str] = field(default_factory=dict)

    def play(self) -> None:
        """Play it all; what came is in `played` and, by socket name, in `sockets`."""
        for _ in range(self._posts_before()):
            self.client.post("/prompt", {})
        try:
            for index, record in enumerate(self.records):
                if record["kind"] in {"ws", "ws_binary"}:
                    continue
                self._catch_up(index)
                getattr(self, "_" + record["kind"])(record)
            self.pace.allow(1_000)
            self._catch_up(len(self.records))
        finally:
            for listener in self.sockets.values():
                listener.close()

    def _posts_before(self) -> int:
        """Return how many posts the recording's server had counted before, refused ones too."""
        posts = [record for record in self.records if record["kind"] == "http" and record["path"] == "/prompt"]
        counted = [record for record in posts if _is_counted(record)]
        numbers = [_answer(record).get("number") for record in counted]
        first = next((index for index, number in enumerate(numbers) if isinstance(number, int)), None)
        return 0 if first is None else int(abs(numbers[first] or 0)) - first

    def _catch_up(self, index: int) -> None:
        """Wait until whatever the recording shows before a line has come here too."""
        self.pace.allow(1 + max((run for run, end in enumerate(self.paced_ends) if end < index), default=-1))
        follower = self.records[index + 1 : index + 4] if index < len(self.records) else []
        for record in follower:  # a socket that opens in the middle of a job is told which node runs
            message = record.get("message", {})
            if record["kind"] == "ws" and message.get("type") == "executing" and "prompt_id" not in message["data"]:
                run = [node for node, _ in self._paced_runs()].index(message["data"]["node"])
                self.pace.allow(run)
                self.pace.wait_begun(run)
        ids = self._recorded_ids()
        for record in self.records[self.caught_up : index]:
            if record["kind"] == "ws" and (key := key_of(record["message"], {})) is not None:
                self._wait_for(key, record["client"], ids)
        self.caught_up = index

    def _wait_for(self, key: Key, socket: str, ids: Mapping[str, str]) -> None:
        listener, heard = self.sockets[socket], self.heard.setdefault(socket, [])

        def new() -> bool:
            heard.extend(key_of(frame, ids) for frame in listener.frames[len(heard) :])
            return key in heard

        if key not in heard:
            listener.wait(lambda _: new())

    def _recorded_ids(self) -> dict[str, str]:
        return {actual: recorded for recorded, actual in self.ids.items()}

    @cached_property
    def paced_ends(self) -> list[int]:
        """For each run of a slow node, the line where the recording first shows its end."""
        far = len(self.records)
        return [
            next((index for index, record in enumerate(self.records) if _shows_end(record, *run)), far)
            for run in self._paced_runs()
        ]

    def _paced_runs(self) -> Iterator[tuple[str, str]]:
        """Yield node and prompt of each run of a slow node, in order of start."""
        classes: dict[tuple[str, str], str] = {}
        seen: set[tuple[str, str]] = set()
        for record in self.records:
            if record["kind"] == "http" and record["path"] == "/prompt" and "prompt_id" in _answer(record):
                graph = record["request_json"]["prompt"]
                classes |= {(n, _answer(record)["prompt_id"]): node["class_type"] for n, node in graph.items()}
        for record in self.records:
            if record["kind"] != "ws" or record["message"]["type"] != "progress_state":
                continue
            data = record["message"]["data"]
            for node in data["nodes"]:
                run = (node, data["prompt_id"])
                if classes.get(run) in PACED and run not in seen:
                    seen.add(run)
                    yield run

    def _ws_open(self, record: Record) -> None:
        client_id = record["path"].partition("clientId=")[2] or None
        greeting = next(r for r in self.records if r["kind"] == "ws" and r["client"] == record["client"])
        self.client.poll("/prompt", lambda answer: answer == greeting["message"]["data"]["status"])
        listener = self.sockets[record["client"]] = Listener(self.client.url, client_id)
        listener.wait(lambda frame: frame["type"] == "status" and "sid" in frame["data"])

    def _ws_sent(self, record: Record) -> None:
        self.sockets[record["client"]].send(record["message"])

    def _ws_close_by_client(self, record: Record) -> None:
        self.sockets[record["client"]].close()

    def _http(self, record: Record) -> None:
        if record["path"] in self.skip or record.get("note") in self.skip:
            if record["path"] == "/prompt":
                self._send(record)  # it is counted all the same
            return
        end_s = time.monotonic() + PATIENCE_S / 4
        while True:
            answer = self._send(record)
            # Only a question of a job's state is asked again: the recording waited where this does not.
            question = record["method"] == "GET" and record["path"].startswith(("/history/", "/queue", "/api/jobs"))
            if not question or time.monotonic() > end_s or self._as_recorded(answer, record):
                break
        body = answer.content
        self.played.append(Played(record, answer.status_code, answer.headers.get("Content-Type", ""), body))
        if record["path"] == "/prompt" and "prompt_id" in _answer(record):
            self.ids[_answer(record)["prompt_id"]] = answer.json()["prompt_id"]
        if record["path"].startswith("/history/"):
            self.names |= dict(zip(_files(record["response_json"]), _files(answer.json()), strict=True))
        if "ETag" in answer.headers:
            self.etags[record["path"]] = answer.headers["ETag"]

    def _as_recorded(self, answer: requests.Response, record: Record) -> bool:
        wanted: object = Normal({}).json(record.get("response_json"))
        return answer.status_code == record["status"] and bool(self.normal().json(answer.json()) == wanted)

    def normal(self) -> Normal:
        """Return the normalisation for this run."""
        return Normal(self._recorded_ids())

    def _send(self, record: Record) -> requests.Response:
        path = self._here(record["path"])
        options: dict[str, Any] = {"headers": self._headers(record)}
        body = record.get("request_body")
        if isinstance(body, dict):
            options |= _multipart(body["multipart"])
        elif body is not None:
            options["data"] = body
        elif "request_json" in record:
            options["json"] = json.loads(self._here(json.dumps(record["request_json"])))
        return self.client.request(record["method"], path, **options)

    def _headers(self, record: Record) -> dict[str, str]:
        headers = dict(record.get("request_headers", {}))
        if "Origin" in headers:  # the recording's server was at 8188
            headers["Origin"] = headers["Origin"].replace("8188", self.client.url.rpartition(":")[2])
        if "If-None-Match" in headers:
            headers["If-None-Match"] = self.etags[record["path"]]
        return headers

    def _here(self, text: str) -> str:
        """Replace recorded prompt ids and names of outputs by the ones of this run."""
        for recorded, actual in (self.ids | self.names).items():
            text = text.replace(recorded, actual)
        return text


def _answer(record: Record) -> dict[str, Any]:
    answer = record.get("response_json")
    return answer if isinstance(answer, dict) else {}


def _is_counted(record: Record) -> bool:
    """Say whether a post took a number: whatever is JSON did, unless it brought its own."""
    body = record.get("request_json")
    return record["method"] == "POST" and body is not None and not (isinstance(body, dict) and "number" in body)


def _files(history: Mapping[str, Any]) -> list[str]:
    """Return the names of all outputs in a history answer."""
    shown = [node for entry in history.values() for _, node in sorted(entry["outputs"].items())]
    items = [item for node in shown for items in node.values() for item in items]
    return [item["filename"] for item in items if isinstance(item, dict)]


def _shows_end(record: Record, node: str, prompt_id: str) -> bool:
    key = key_of(record["message"], {}) if record["kind"] == "ws" else None
    if key is None or key[0] != prompt_id:
        return False
    if key[1] in {"execution_error", "execution_interrupted"}:
        return bool(key[2] == node)
    data = record["message"]["data"]
    return bool(data.get("nodes", {}).get(node, {}).get("state") == "finished") if key[1] == "state" else False


def _multipart(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form; the recording keeps the size of a file, which says which one it was."""
    fields = {name: part for name, part in parts.items() if isinstance(part, str)}
    files = {
        name: (part["filename"], _content(part["bytes"]), part["content_type"])
        for name, part in parts.items()
        if not isinstance(part, str)
    }
    return {"data": None, "files": files | {name: (None, text) for name, text in fields.items()}}


def _content(size: int) -> bytes:
    pictures = [path.read_bytes() for path in (RECORDINGS / "inputs").iterdir()]
    short = {5: b"hello", 8: b"<b>x</b>", 16: b"not a picture ..", 64_044: _beep()}
    return {len(picture): picture for picture in pictures}.get(size) or short[size]


def _beep() -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(64_000))
    return stream.getvalue()
