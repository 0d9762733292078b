"""Many live streams through one tunnel, as the monitors and the pages of many tabs hold them."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import websocket
from aiohttp import web

from autopod_nb.ssh.tunnel import Tunnel
from tests.ssh.live_pod import LivePod

_STREAMS = 50
_EVENTS = 60
_EVERY_S = 0.05
_BULK_BYTES = 32 << 20


async def _stream(request: web.Request) -> web.WebSocketResponse:
    """Twenty numbered events a second, and back what comes."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    for number in range(_EVENTS):
        await socket.send_json({"name": request.query["name"], "number": number})
        await asyncio.sleep(_EVERY_S)
    await socket.send_str(await socket.receive_str())
    await socket.close()
    return socket


async def _bulk(_: web.Request) -> web.Response:
    return web.Response(body=bytes(_BULK_BYTES))


@pytest.fixture(scope="module")
def server_port() -> Iterator[int]:
    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), list[int]()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.add_routes([web.get("/ws", _stream), web.get("/bulk", _bulk)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ports.append(runner.addresses[0][1])
        return runner

    def run() -> None:
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, name="events")
    thread.start()
    assert ready.wait(20)
    yield ports[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)


@pytest.fixture
def tunnel(new_pod: Callable[..., LivePod], server_port: int) -> Iterator[Tunnel]:
    connection = new_pod("--comfyui-port", str(server_port)).connect()
    tunnel = Tunnel(connection, server_port, wanted_port=0)
    yield tunnel
    tunnel.close()
    connection.close()


def _read_all(port: int, name: str) -> list[tuple[str, int]]:
    socket = websocket.create_connection(f"ws://127.0.0.1:{port}/ws?name={name}", timeout=60)
    found = [json.loads(socket.recv()) for _ in range(_EVENTS)]
    socket.send(name)
    assert socket.recv() == name
    socket.close()
    return [(each["name"], each["number"]) for each in found]


def _download(port: int) -> int:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.request("GET", "/bulk")
    count = len(line.getresponse().read())
    line.close()
    return count


def test_fifty_streams_at_once_lose_and_mix_nothing_while_a_file_comes_down(tunnel: Tunnel) -> None:
    names = [f"stream{number}" for number in range(_STREAMS)]
    with ThreadPoolExecutor(_STREAMS + 1) as pool:
        streams = [pool.submit(_read_all, tunnel.port, name) for name in names]
        bulk = pool.submit(_download, tunnel.port)
        for name, stream in zip(names, streams, strict=True):
            assert stream.result(90) == [(name, number) for number in range(_EVENTS)]
        assert bulk.result(90) == _BULK_BYTES
