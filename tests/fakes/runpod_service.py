"""``python -m tests.fakes.runpod_service``: a made-up RunPod on loopback, for tests and for trying a notebook.

It prints one line of JSON with ``url``, ``control_url`` and ``api_key`` when it is ready. A notebook is tried against
it with RUNPOD_API_BASE_URL and RUNPOD_API_KEY set to the first and the last. Service time is that of
``autopod_nb.clock.default_clock``: with AUTOPOD_TEST_CLOCK, a file moves it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

from aiohttp import web

from autopod_nb.clock import default_clock
from tests.fakes.runpod_control import Control, explain
from tests.fakes.runpod_core import Core
from tests.fakes.runpod_gate import Gate
from tests.fakes.runpod_graphql import GraphqlRoute
from tests.fakes.runpod_rest import PodRoutes
from tests.fakes.runpod_rest_account import AccountRoutes
from tests.fakes.runpod_rest_billing import BillingRoutes
from tests.fakes.runpod_settings import Settings

_HOST = "127.0.0.1"
_PARENT_LOOK_S = 0.2
_TICK_S = 0.1  # how often service time has its effects when nobody asks
_CLOSE_S = 0.2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.runpod_service", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of the API; 0: any")
    parser.add_argument("--home", type=Path, help="folder of the pods; without it a new one")
    parser.add_argument("--parent", type=int, help="it ends with this process")
    parser.add_argument("--api-key", help="of the account; without it a new one")
    parser.add_argument("--set", action="append", default=[], help="NAME=JSON of a setting")
    return parser


def _settings(given: list[str]) -> Settings:
    settings = Settings()
    settings.change({name: json.loads(value) for name, _, value in (each.partition("=") for each in given)})
    return settings


async def _told_to_end() -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


async def _parent_ended(pid: int) -> None:
    is_parent = os.getppid() == pid
    while not (is_parent and os.getppid() != pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(_PARENT_LOOK_S)


async def _tick(core: Core) -> None:
    while True:
        core.settle()
        await asyncio.sleep(_TICK_S)


async def _listen(app: web.Application, port: int) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    site = web.TCPSite(runner, _HOST, port, backlog=512)
    await site.start()
    return runner, f"http://{_HOST}:{runner.addresses[0][1]}"


async def serve(arguments: argparse.Namespace, home: Path) -> None:
    """Serve until a signal or the end of the parent; then every pod ends, too."""
    core = Core(home, default_clock(), _settings(arguments.set))
    if arguments.api_key:
        core.account.api_key = arguments.api_key
    app = web.Application(middlewares=[Gate(core).guard], client_max_size=8 << 20)
    for door in (PodRoutes(core), AccountRoutes(core), BillingRoutes(core), GraphqlRoute(core)):
        app.add_routes(door.routes())
    control = web.Application(middlewares=[explain])
    control.add_routes(Control(core).routes())
    runner, core.url = await _listen(app, arguments.port)
    control_runner, control_url = await _listen(control, 0)
    ends = [asyncio.create_task(_told_to_end()), asyncio.create_task(_tick(core))]
    if arguments.parent is not None:
        ends.append(asyncio.create_task(_parent_ended(arguments.parent)))
    with contextlib.suppress(OSError):  # nobody reads it
        said = {"url": core.url, "control_url": control_url, "api_key": core.account.api_key, "pid": os.getpid()}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    try:
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        done.pop().result()
    finally:
        for task in ends:
            task.cancel()
        await core.yard.close()
        await runner.cleanup()
        await control_runner.cleanup()


def main() -> int:
    """Run it. Returns the exit status."""
    arguments = _parser().parse_args()
    with contextlib.ExitStack() as stack:
        home = arguments.home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fake-runpod-")))
        home.mkdir(parents=True, exist_ok=True)
        logging.basicConfig(filename=home / "service.log", level=logging.INFO)
        logging.getLogger("asyncssh").setLevel(logging.WARNING)
        asyncio.run(serve(arguments, home.resolve()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
