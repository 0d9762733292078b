"""The monitor on real sockets: the built-in engine, a relay that does harm, a server that follows a script."""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from autopod_nb.clock import Clock, Deadline, TestClock
from autopod_nb.comfyui.client import ComfyClient
from autopod_nb.comfyui.line import Line
from autopod_nb.comfyui.monitor import Monitor
from autopod_nb.comfyui.monitor_events import (
    Connected,
    Disconnected,
    MonitorEvent,
    PromptResultFound,
    PromptRunning,
    PromptVanished,
    ServerRestarted,
)
from autopod_nb.errors import ComfyError
from autopod_nb.models.event import (
    NodeExecuted,
    NodesCached,
    ProgressText,
    PromptEnding,
    PromptOutcome,
    PromptOver,
    PromptProgress,
    PromptStarted,
    QueueStatus,
    ServerFeatures,
    Unknown,
)
from tests.comfyui.servers import CLOCK, PATIENCE_S, EngineProcess, patience
from tests.comfyui.test_client import slow, workflow
from tests.fakes.relay import Relay

Connect = Callable[..., ComfyClient]
RelayTo = Callable[[str], Relay]
Event = TypeVar("Event")


class Watcher:
    """A monitor and what it posted."""

    def __init__(self, client: ComfyClient, *, clock: Clock = CLOCK, **paces: float) -> None:
        self.seen: list[MonitorEvent] = []
        self._new = threading.Condition()
        self.monitor = Monitor(client.base_url, clock=clock, on_event=self._post, client=client, **paces)

    def _post(self, event: MonitorEvent) -> None:
        with self._new:
            self.seen.append(event)
            self._new.notify_all()

    def wait(self, kind: type[Event], *, after: int = 0, prompt_id: str | None = None) -> Event:
        """The first event of a kind, of one prompt if it is named, from index *after* on."""

        def found() -> Event | None:
            fitting = (one for one in self.seen[after:] if isinstance(one, kind))
            return next((one for one in fitting if prompt_id in (None, getattr(one, "prompt_id", None))), None)

        with self._new:
            assert self._new.wait_for(lambda: found() is not None, PATIENCE_S), (kind, self.seen[-6:])
            event = found()
        assert event is not None
        return event

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in list(self.seen) if isinstance(event, kind)]


@pytest.fixture
def follow() -> Iterator[Callable[..., Watcher]]:
    """Starts monitors; each must end within a second of its stop, and without a failure."""
    with ExitStack() as stack:

        def end(watcher: Watcher) -> None:
            watcher.monitor.stop()
            assert watcher.monitor.join(1.0)
            assert watcher.monitor.failure is None

        def start(client: ComfyClient, *, clock: Clock = CLOCK, **paces: float) -> Watcher:
            watcher = Watcher(client, clock=clock, **paces)
            watcher.monitor.start()
            stack.callback(end, watcher)
            return watcher

        yield start


Follow = Callable[..., Watcher]


def submitted(watcher: Watcher, client: ComfyClient, graph: dict[str, object], client_id: str | None = None) -> str:
    """Watch and submit under the current client id; returns the prompt id."""
    prompt_id = str(uuid4())
    client_id = client_id or watcher.monitor.wait_connected(patience())
    watcher.monitor.watch(prompt_id, client_id)
    client.submit(graph, prompt_id=prompt_id, client_id=client_id)
    watcher.monitor.posted(prompt_id)
    return prompt_id


def test_a_watched_prompt_is_told_from_start_to_end_in_order(
    engine: EngineProcess, connect: Connect, follow: Follow
) -> None:
    client = connect(engine.url)
    watcher = follow(client)
    assert UUID(watcher.monitor.wait_connected(patience())).version == 4
    prompt_id = submitted(watcher, client, workflow("text_and_seed", 100))
    watcher.wait(PromptOver, prompt_id=prompt_id)
    kinds = [type(event) for event in watcher.seen if getattr(event, "prompt_id", "") == prompt_id]
    assert kinds[:2] == [PromptStarted, NodesCached]
    assert kinds[-2:] == [PromptEnding, PromptOver]
    assert kinds.count(NodeExecuted) == 2
    assert [type(event) for event in watcher.seen[:3]] == [Connected, QueueStatus, ServerFeatures]
    assert watcher.monitor.counters.polls == 0  # the socket told all: nobody had to ask


def test_what_a_stranger_runs_is_not_posted(engine: EngineProcess, connect: Connect, follow: Follow) -> None:
    """A job without a client id is heard by everybody; one that is no longer watched is a stranger's too."""
    client = connect(engine.url)
    watcher = follow(client)
    client_id = watcher.monitor.wait_connected(patience())
    strange = str(uuid4())
    client.submit(workflow("text_and_seed", 101), prompt_id=strange, client_id=client_id)  # never watched
    mine = submitted(watcher, client, workflow("text_and_seed", 102))
    watcher.wait(PromptOver, prompt_id=mine)
    assert {getattr(event, "prompt_id", mine) for event in watcher.seen} == {mine}


def test_a_prompt_of_an_earlier_connection_is_found_by_asking(
    engine: EngineProcess, connect: Connect, follow: Follow
) -> None:
    """As after an adoption: submitted under a client id whose socket is gone, so that no event comes."""
    client = connect(engine.url)
    watcher = follow(client, poll_s=0.1)
    watcher.monitor.wait_connected(patience())
    prompt_id = submitted(watcher, client, workflow("text_and_seed", 103), client_id=str(uuid4()))
    found = watcher.wait(PromptResultFound)
    assert (found.result.prompt_id, found.result.outcome) == (prompt_id, PromptOutcome.SUCCESS)
    assert len(found.result.files) == 2
    assert watcher.of(PromptOver) == []
    assert watcher.of(Disconnected) == []


def test_a_prompt_that_somebody_deleted_has_vanished_but_one_that_is_not_posted_yet_has_not(
    engine: EngineProcess, connect: Connect, follow: Follow
) -> None:
    client = connect(engine.url)
    watcher = follow(client, poll_s=0.1)
    client_id = watcher.monitor.wait_connected(patience())
    early = str(uuid4())
    watcher.monitor.watch(early, client_id)
    running = str(uuid4())
    client.submit(slow(), prompt_id=running, client_id=str(uuid4()))
    waiting = submitted(watcher, client, workflow("text_and_seed", 104))
    polls = watcher.monitor.counters.polls
    client.delete(waiting)
    assert watcher.wait(PromptVanished) == PromptVanished(prompt_id=waiting, may_have_run=True)
    assert watcher.monitor.counters.polls >= polls + 2  # it looked twice
    assert watcher.of(ServerRestarted) == []
    client.cancel(running)
    assert [event.prompt_id for event in watcher.of(PromptVanished)] == [waiting]
    client.submit(workflow("text_and_seed", 105), prompt_id=early, client_id=client_id)
    watcher.wait(PromptOver, prompt_id=early)


@pytest.mark.faults
def test_a_prompt_that_ends_while_the_line_is_down_is_delivered(
    engine: EngineProcess, connect: Connect, follow: Follow, relay_to: RelayTo
) -> None:
    relay = relay_to(engine.url)
    direct = connect(engine.url)
    watcher = follow(connect(f"http://127.0.0.1:{relay.port}"), poll_s=30)
    first_id = watcher.monitor.wait_connected(patience())
    prompt_id = submitted(watcher, direct, slow())
    watcher.wait(PromptProgress, prompt_id=prompt_id)
    relay.refuse()
    relay.cut()
    watcher.wait(Disconnected)
    direct.cancel(prompt_id)  # it ends unseen
    deadline = patience()
    while direct.history(prompt_id) is None and not deadline.passed:
        direct.pause(0.02)
    cut_at = len(watcher.seen)
    relay.admit()
    assert watcher.wait(PromptResultFound, after=cut_at).result.outcome is PromptOutcome.INTERRUPTED
    second_id = watcher.monitor.wait_connected(patience())
    assert second_id != first_id
    assert [event.client_id for event in watcher.of(Connected)] == [first_id, second_id]
    assert watcher.of(PromptOver) == []
    assert watcher.monitor.counters.connects == 2
    after = submitted(watcher, direct, workflow("text_and_seed", 106))
    watcher.wait(PromptOver, prompt_id=after)  # the new socket tells of what is submitted under its id


@pytest.mark.faults
def test_a_line_that_goes_silent_is_given_up_after_a_ping(
    engine: EngineProcess, connect: Connect, follow: Follow, relay_to: RelayTo
) -> None:
    """Open, but dead: as a tunnel whose other end has lost its power. Only an own ping finds out."""
    relay = relay_to(engine.url)
    watcher = follow(connect(f"http://127.0.0.1:{relay.port}"), ping_s=0.4)
    watcher.monitor.wait_connected(patience())
    began = CLOCK.monotonic()
    relay.hold()
    assert "no answer to a ping" in watcher.wait(Disconnected).reason
    assert CLOCK.monotonic() - began < 10
    relay.release()
    again = len(watcher.seen)
    watcher.wait(Connected, after=again)


@pytest.mark.faults
@pytest.mark.parametrize("knew_one", [False, True])
def test_what_a_server_forgot_may_have_run_and_what_never_reached_it_did_not(
    own_engine: EngineProcess, connect: Connect, follow: Follow, *, knew_one: bool
) -> None:
    """Its post was not answered. A server that knows nothing has forgotten it only if it knew something before."""
    client = connect(own_engine.url)
    watcher = follow(client, poll_s=0.2)
    watcher.wait(Connected)
    if knew_one:
        watcher.wait(PromptOver, prompt_id=submitted(watcher, client, workflow("text_and_seed", 106)))
    unsure = str(uuid4())
    own_engine.kill()
    watcher.wait(Disconnected)
    watcher.monitor.watch(unsure, str(uuid4()))
    watcher.monitor.posted(unsure, sure=False)
    own_engine.start()
    assert watcher.wait(PromptVanished, prompt_id=unsure).may_have_run is knew_one


@pytest.mark.faults
def test_a_server_that_was_killed_has_forgotten_the_prompt(
    own_engine: EngineProcess, connect: Connect, follow: Follow
) -> None:
    """Nothing about jobs survives its process: first the restart is told, then the prompt that vanished."""
    client = connect(own_engine.url)
    watcher = follow(client, poll_s=0.2)
    prompt_id = submitted(watcher, client, slow())
    watcher.wait(PromptProgress, prompt_id=prompt_id)
    own_engine.kill()
    watcher.wait(Disconnected)
    own_engine.start()
    assert watcher.wait(PromptVanished) == PromptVanished(prompt_id=prompt_id, may_have_run=True)
    story = [
        type(event) for event in watcher.seen if isinstance(event, (Disconnected, ServerRestarted, PromptVanished))
    ]
    assert story == [Disconnected, ServerRestarted, PromptVanished]


@pytest.mark.faults
def test_stopping_while_nothing_answers_takes_no_second(connect: Connect, follow: Follow, relay_to: RelayTo) -> None:
    """The fixture bounds the join: while connecting to a host that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        watcher = follow(connect(f"http://127.0.0.1:{mute.getsockname()[1]}"))
        line, _ = mute.accept()
        with pytest.raises(ComfyError, match="did not open in time"):
            watcher.monitor.wait_connected(Deadline(CLOCK, 0.1))
        watcher.monitor.stop()
        assert watcher.monitor.join(1.0)
        line.close()
    assert watcher.seen == []


class ScriptedSocket:
    """A server of one connection at a time that sends chosen frames, and answers HTTP with chosen JSON."""

    def __init__(self, frames: list[bytes], answers: dict[str, object], after_pong: bytes) -> None:
        self.answers = answers
        self._after_pong = after_pong
        self.asked: list[str] = []
        self.received = b""
        self._frames = frames
        self.sockets: queue.Queue[socket.socket] = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="scripted-socket")]
        self._threads[0].start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                self._open.append(line)
                thread = threading.Thread(target=self._serve, args=(line,), name="scripted-socket")
                self._threads.append(thread)
                thread.start()

    def _serve(self, line: socket.socket) -> None:
        with suppress(OSError, StopIteration):
            while head := _head(line):
                path = head.split()[1].decode()
                if path.startswith("/ws"):
                    self.received = head
                    line.sendall(_handshake(head) + b"".join(self._frames))
                    self.sockets.put(line)
                    while heard := line.recv(4096):
                        if heard[:2] == b"\x89\x80":  # a ping without words
                            line.sendall(b"\x8a\x00" + self._after_pong)
                    return
                self.asked.append(path)
                body = json.dumps(self.answers.get(path, {})).encode()
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._open:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for line in self._open:
            line.close()


def _head(line: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = line.recv(1)
        if not piece:
            return b""
        head += piece
    return head


def _handshake(head: bytes) -> bytes:
    key = next(row for row in head.split(b"\r\n") if row.lower().startswith(b"sec-websocket-key:")).split(b": ")[1]
    accept = base64.b64encode(
        hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    )
    return (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")  # fmt: skip


def frame(data: bytes, opcode: int = 1) -> bytes:
    """An unmasked frame, whole."""
    length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + data


STATUS = frame(b'{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "x"}}')


@pytest.fixture
def script_socket() -> Iterator[Callable[..., ScriptedSocket]]:
    """Makes scripted sockets, and ends them."""
    with ExitStack() as stack:

        def make(frames: list[bytes], after_pong: bytes = b"") -> ScriptedSocket:
            server = ScriptedSocket(frames, {}, after_pong)
            stack.callback(server.close)
            return server

        yield make


ScriptSocket = Callable[..., ScriptedSocket]


@pytest.mark.faults
def test_garbage_on_the_socket_is_unknown_and_what_follows_is_understood(
    connect: Connect, follow: Follow, script_socket: ScriptSocket
) -> None:
    garbage = [frame(b"\xff\xfe{"), frame(b"[1]"), frame(b"\0\0\0\7junk", 2), frame(b"", 2), frame(b"{}")]
    text = frame(b"\0\0\0\3\0\0\0\0011step 1", 2)
    server = script_socket([STATUS, *garbage, text])
    watcher = follow(connect(server.url))
    assert watcher.wait(ProgressText) == ProgressText(node_id="1", text="step 1")
    assert len(watcher.of(Unknown)) == 4
    assert watcher.of(Disconnected) == []


@pytest.mark.faults
@pytest.mark.parametrize(
    "broken",
    [
        b"\x83\x00",  # an opcode that does not exist
        b"\xf1\x00",  # reserved bits
        b"\x88\x02\x03\xe8",  # a close
        b"HTTP/1.1 500 what\r\n\r\n" * 20,
    ],
)
def test_a_broken_stream_leads_to_a_new_connection_under_a_new_id(
    broken: bytes, connect: Connect, follow: Follow, script_socket: ScriptSocket
) -> None:
    server = script_socket([STATUS, broken])
    watcher = follow(connect(server.url))
    watcher.wait(Disconnected)
    again = len(watcher.seen)
    watcher.wait(Connected, after=again)
    ids = [event.client_id for event in watcher.of(Connected)]
    assert len(set(ids)) == len(ids)


def test_the_handshake_names_no_origin(connect: Connect, follow: Follow, script_socket: ScriptSocket) -> None:
    server = script_socket([STATUS])
    follow(connect(server.url)).monitor.wait_connected(patience())
    assert b"upgrade: websocket" in server.received.lower()
    assert b"\r\norigin:" not in server.received.lower()


def test_a_quiet_but_living_line_is_kept(connect: Connect, follow: Follow, script_socket: ScriptSocket) -> None:
    """Each ping is answered: no reconnect, however long nothing else happens."""
    clock = TestClock()
    server = script_socket([STATUS], after_pong=STATUS)
    watcher = follow(connect(server.url), clock=clock)
    watcher.wait(QueueStatus)
    for _ in range(3):
        seen = len(watcher.seen)
        clock.advance(5.0)
        watcher.wait(QueueStatus, after=seen)  # the server sends it behind each pong
    assert watcher.of(Disconnected) == []
    assert watcher.monitor.counters.connects == 1


@pytest.mark.faults
def test_a_socket_that_went_deaf_is_left(connect: Connect, follow: Follow, script_socket: ScriptSocket) -> None:
    """The stale-socket trap: open, pings are answered, but nothing is told. Polls deliver, and it is left."""
    server = script_socket([STATUS])
    watcher = follow(connect(server.url), poll_s=0.2, ping_s=60.0)
    first_id = watcher.monitor.wait_connected(patience())
    prompt_id = str(uuid4())
    watcher.monitor.watch(prompt_id, first_id, posted=True)
    server.answers[f"/history/{prompt_id}"] = {prompt_id: {"outputs": {}}}
    assert watcher.wait(PromptResultFound).result.prompt_id == prompt_id
    assert "no longer tells" in watcher.wait(Disconnected).reason
    found = len(watcher.seen)
    assert watcher.wait(Connected, after=found).client_id != first_id


@pytest.mark.faults
def test_a_prompt_that_runs_on_a_deaf_socket_is_known_to_run_and_the_socket_is_left(
    engine: EngineProcess, connect: Connect, follow: Follow
) -> None:
    """A proxy had a socket of the same client id, and closed it: from then on the server tells ours nothing."""
    client = connect(engine.url)
    watcher = follow(client, poll_s=0.2, ping_s=60.0)
    client_id = watcher.monitor.wait_connected(patience())
    other = Line(engine.url, client_id)
    other.open("{}", tick_s=0.1)
    other.close()
    prompt_id = submitted(watcher, client, slow(), client_id)
    assert watcher.wait(PromptRunning).prompt_id == prompt_id
    assert "no longer tells" in watcher.wait(Disconnected).reason
    assert watcher.of(PromptResultFound) == [], "it was left while the prompt ran, and not at its end"
    next_id = submitted(watcher, client, workflow("text_and_seed", 100))
    assert watcher.wait(PromptResultFound).result.prompt_id == prompt_id
    watcher.wait(PromptOver, prompt_id=next_id)
    assert [event.prompt_id for event in watcher.of(PromptRunning)].count(prompt_id) == 1


def test_a_prompt_whose_start_was_told_is_not_told_to_run_once_more(
    connect: Connect, follow: Follow, script_socket: ScriptSocket
) -> None:
    """However long its node says nothing then; and the socket is no suspect."""
    prompt_id = str(uuid4())
    start = json.dumps({"type": "execution_start", "data": {"prompt_id": prompt_id, "timestamp": 1}}).encode()
    server = script_socket([STATUS])
    watcher = follow(connect(server.url), poll_s=0.05)
    watcher.monitor.watch(prompt_id, watcher.monitor.wait_connected(patience()), posted=True)
    server.sockets.get(timeout=PATIENCE_S).sendall(frame(start))
    watcher.wait(PromptStarted)
    server.answers |= {"/queue": {"queue_running": [[0, prompt_id, {}, {}, []]]}}
    polls, deadline = watcher.monitor.counters.polls, patience()
    while watcher.monitor.counters.polls < polls + 5:
        assert not deadline.passed
        CLOCK.wait(threading.Event(), 0.05)
    assert (watcher.of(PromptRunning), watcher.of(Disconnected)) == ([], [])


def test_a_queue_that_moves_without_a_word_about_our_prompts_is_looked_into(
    connect: Connect, follow: Follow, script_socket: ScriptSocket
) -> None:
    """Long before the slow poll is due."""
    server = script_socket([STATUS])
    watcher = follow(connect(server.url), poll_s=60.0)
    prompt_id = str(uuid4())
    client_id = watcher.monitor.wait_connected(patience())
    watcher.monitor.watch(prompt_id, client_id, posted=True)
    server.answers[f"/history/{prompt_id}"] = {prompt_id: {"outputs": {}}}
    line = server.sockets.get(timeout=PATIENCE_S)
    line.sendall(STATUS.replace(b'"queue_remaining": 0', b'"queue_remaining": 1'))
    watcher.wait(PromptResultFound)


def test_one_history_entry_is_posted_once(connect: Connect, follow: Follow, script_socket: ScriptSocket) -> None:
    server = script_socket([STATUS])
    watcher = follow(connect(server.url), poll_s=0.05)
    watcher.monitor.wait_connected(patience())
    first, second = str(uuid4()), str(uuid4())
    watcher.monitor.watch(first, "old", posted=True)
    server.answers |= {"/queue": {"queue_running": [[0, second, {}, {}, []]]}, f"/history/{first}": {first: {}}}
    watcher.monitor.watch(second, "old", posted=True)
    watcher.wait(PromptResultFound)
    polls = watcher.monitor.counters.polls
    deadline = patience()
    while watcher.monitor.counters.polls < polls + 3 and not deadline.passed:
        CLOCK.wait(threading.Event(), 0.02)
    assert [event.result.prompt_id for event in watcher.of(PromptResultFound)] == [first]
    watcher.monitor.unwatch(second)
    watcher.monitor.unwatch(second)


def test_a_message_may_come_in_pieces(script_socket: ScriptSocket) -> None:
    """Also when nothing comes for longer than the socket's own pace between two of them."""
    server = script_socket([STATUS])
    line = Line(server.url, "a")
    line.open("{}", tick_s=0.05)
    assert line.receive() is not None
    far = server.sockets.get(timeout=PATIENCE_S)
    picture = b"\0\0\0\1\0\0\0\2\x89PNG" + bytes(300)
    whole = frame(picture, 2)
    for piece in (whole[:1], whole[1:50]):
        far.sendall(piece)
        assert line.receive() is None
    far.sendall(whole[50:])
    assert line.receive() == picture
    line.close()
