"""A made-up RunPod for a test: started as a program of its own, ended with everything that it started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, final

import requests

from autopod_nb.clock import Deadline, SystemClock
from tests.leftovers import command_of, left_of

_ROOT = Path(__file__).parents[2]
_START_S = 20.0
_END_S = 15.0
_CALL_S = 10.0
_LOOK_S = 0.05


@contextmanager
def rows_only(folder: Path) -> Iterator[RunpodService]:
    """A service whose pods are only rows in its books, with a clock of its own that begins now.

    Args:
        folder: is there, for the clock and the service.
    """
    clock_file = folder / "clock"
    clock_file.write_text("0")
    with RunpodService(folder / "service", clock_file=clock_file, real_pods=False) as service:
        yield service


@final
class RunpodService:
    """The service as a test holds it.

    Args:
        folder: new, for its pods; its processes are known by it.
        clock_file: file of a shared clock (``AUTOPOD_TEST_CLOCK``); None: the clock of the machine.
        settings: to begin with, see :class:`tests.fakes.runpod_settings.Settings`.
    """

    def __init__(self, folder: Path, *, clock_file: Path | None = None, **settings: object) -> None:
        self.folder = folder
        self.clock_file = clock_file
        command = [sys.executable, "-m", "tests.fakes.runpod_service", "--home", str(folder)]
        command += ["--parent", str(os.getpid())]
        for name, value in settings.items():
            command += ["--set", f"{name}={json.dumps(value)}"]
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOPOD_", "RUNPOD_"))}
        environ["AUTOPOD_HOME"] = str(folder)
        if clock_file is not None:
            environ["AUTOPOD_TEST_CLOCK"] = str(clock_file)
        self._process = subprocess.Popen(
            command, cwd=_ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        self._web = requests.Session()
        self._web.trust_env = False  # no proxy between us
        said = self._first_line()
        self.url: str = said["url"]
        self.control_url: str = said["control_url"]
        self.api_key: str = said["api_key"]
        self.pid: int = said["pid"]

    def _first_line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()  # it ends with the program at the latest
        if not line:
            self._process.wait(_END_S)
            self._process.stdout.close()
            raise ChildProcessError(f"the service did not start, status {self._process.returncode}")
        said: dict[str, Any] = json.loads(line)
        return said

    def __enter__(self) -> RunpodService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it and all of its pods; an error when a process of it is left, or it had failed. Safe to call twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(_END_S)
        self._web.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        log = self.folder / "service.log"
        text = log.read_text() if log.exists() else ""
        assert "Traceback" not in text, f"the service itself failed: {text}"
        left = left_of(self.folder, _END_S)
        assert not left, f"left by the service: {'; '.join(f'{pid} ({command_of(pid)})' for pid in sorted(left))}"

    def kill(self) -> None:
        """As a crash would end it; :meth:`close` afterwards still checks what is left."""
        self._process.kill()
        self._process.wait(_END_S)

    # what a test needs to point a program at it

    def environ(self) -> dict[str, str]:
        """The two variables."""
        return {"RUNPOD_API_BASE_URL": self.url, "RUNPOD_API_KEY": self.api_key}

    def request(self, method: str, path: str, *, key: str | None = "", **options: Any) -> requests.Response:
        """A plain request to the API, with the account's key unless another one or none (None) is given."""
        headers = {"User-Agent": "tests", **options.pop("headers", {})}
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self.api_key}"
        options.setdefault("timeout", _CALL_S)
        return self._web.request(method, self.url + path, headers=headers, **options)

    def graphql(self, query: str, *, key: str | None = "", **variables: object) -> Any:
        """The JSON answer to a query."""
        body = {"query": query, "variables": variables} if variables else {"query": query}
        return self.request("POST", "/graphql", key=key, json=body).json()

    # the control door

    def control(self, method: str, path: str, body: object = None) -> Any:
        """One call; an error of ours is an ``AssertionError`` with the service's sentence."""
        response = self._web.request(method, f"{self.control_url}/control/{path}", json=body, timeout=_CALL_S)
        assert response.ok, f"{path}: {response.text}"
        return response.json()

    def arm(
        self,
        fault: str,
        route: str | None = None,
        *,
        times: int = 1,
        pod: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Arm a fault of :data:`tests.fakes.runpod_faults.KINDS` for a route or GraphQL operation."""
        self.control("POST", "arm", {"fault": fault, "route": route, "times": times, "pod": pod, "seconds": seconds})

    def armed(self) -> list[dict[str, Any]]:
        """The faults that have not struck as often as they should."""
        return [each for each in self.control("GET", "faults") if each["times"] > 0]

    def reset(self) -> None:
        """Begin anew; the key, the address and the time stay."""
        self.control("POST", "reset")

    def set(self, **settings: object) -> None:
        """Change settings."""
        self.control("POST", "set", settings)

    def stock(self, count: int, *, gpu: str | None = None, cloud: str | None = None, place: str | None = None) -> None:
        """So many GPUs, rented ones included, wherever the three fit."""
        self.control("POST", "stock", {"count": count, "gpu": gpu, "cloud": cloud, "place": place})

    def price(self, gpu: str, cloud: str, usd_per_hour: str) -> None:
        """What a GPU costs from now on."""
        self.control("POST", "price", {"gpu": gpu, "cloud": cloud, "usd_per_hour": usd_per_hour})

    def balance(self, usd: str | None = None) -> Decimal:
        """The account's balance, set before when *usd* is given."""
        return Decimal(self.control("POST", "balance", {"usd": usd})["usd"])

    def bill(self) -> dict[str, Any]:
        """Exact: ``pods`` with ``segments``, ``total_usd``, ``billing_ended_at``; ``volumes``; ``total_usd``."""
        bill: dict[str, Any] = self.control("GET", "bill")
        return bill

    def billed(self, name: str) -> list[dict[str, Any]]:
        """The pods of that name that ever cost something."""
        return [pod for pod in self.bill()["pods"] if pod["name"] == name and pod["segments"]]

    def pods(self) -> list[dict[str, Any]]:
        """Every pod that was ever made, in that order."""
        pods: list[dict[str, Any]] = self.control("GET", "pods")
        return pods

    def pod(self, pod_id: str) -> dict[str, Any]:
        """One of them."""
        return next(pod for pod in self.pods() if pod["id"] == pod_id)

    def rows(self, count: int, name: str = "row") -> list[str]:
        """Make pods that are only rows in lists. Their ids."""
        ids: list[str] = self.control("POST", "rows", {"count": count, "name": name})
        return ids

    def evict(self, pod_id: str) -> None:
        """Let somebody outbid a pod."""
        self.control("POST", "evict", {"pod": pod_id})

    def requests(self, route: str | None = None) -> list[dict[str, Any]]:
        """The requests so far, of one route or GraphQL operation if given; times in ``at`` and ``monotonic_s``."""
        found = self.control("GET", "requests")["requests"]
        return [each for each in found if route is None or route == each["route"] or route in each["operations"]]

    def counts(self) -> dict[str, int]:
        """How many requests there were by route and by GraphQL operation."""
        counts: dict[str, int] = self.control("GET", "requests")["counts"]
        return counts

    # time

    def advance(self, seconds: float) -> None:
        """Move the shared clock on."""
        assert self.clock_file is not None, "the service goes by the machine's clock"
        part = self.clock_file.with_suffix(".part")
        before = float(self.clock_file.read_text()) if self.clock_file.exists() else 0.0
        part.write_text(str(before + seconds))
        part.replace(self.clock_file)

    def wait_for_ssh(self, pod_id: str, within_s: float = 30.0) -> dict[str, Any]:
        """Wait, in real time, until a pod's program is ready. What the control door says of it."""
        deadline, pause = Deadline(SystemClock(), within_s), threading.Event()
        while not deadline.passed:
            if (pod := self.pod(pod_id))["host_key_sha256"] is not None:
                return pod
            pause.wait(_LOOK_S)
        raise TimeoutError(f"pod {pod_id} has no SSH server after {within_s:g} s")
