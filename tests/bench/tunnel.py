"""A large download through the tunnel beside the same through ``ssh -L``, each to a program that only reads."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from autopod_nb.ssh.tunnel import Tunnel
from tests.bench.run import Row, at_least
from tests.bench.transfer_rows import beside
from tests.bench.transfer_server import running

_ROOT = Path(__file__).resolve().parents[2]
_ROUNDS = 5
_MIB = 256
_WITHIN_S = 300.0


def with_delay(rounds: int = _ROUNDS) -> Row:
    """256 MiB with 20 ms each way, as a part of the speed of ``ssh -L``."""
    ratio, theirs_s, ours_s = _measured(20, rounds)
    note = f"{_MIB} MiB down, 40 ms there and back; {_speeds(theirs_s, ours_s)}"
    return at_least("tunnel_vs_ssh_forward", ratio, "×", 0.8, note)


def without_delay(rounds: int = _ROUNDS) -> Row:
    """256 MiB over loopback, in MiB a second."""
    ratio, theirs_s, ours_s = _measured(0, rounds)
    note = f"{_MIB} MiB down over loopback, {ratio:.2f} × ssh -L; {_speeds(theirs_s, ours_s)}"
    return at_least("tunnel_mib_per_s_0ms", _MIB / statistics.median(ours_s), "MiB/s", 110, note)


def _measured(delay_ms: float, rounds: int) -> tuple[float, list[float], list[float]]:
    with (
        running(delay_ms) as server,
        _source() as port,
        server.forward(port) as forwarded,
        contextlib.closing(server.connect()) as connection,
        contextlib.closing(Tunnel(connection, port, wanted_port=0)) as tunnel,
    ):
        return beside(lambda: _taken_s(forwarded), lambda: _taken_s(tunnel.port), rounds=rounds)


def _speeds(theirs_s: list[float], ours_s: list[float]) -> str:
    theirs, ours = _MIB / statistics.median(theirs_s), _MIB / statistics.median(ours_s)
    return f"ssh -L {theirs:.0f} MiB/s, the tunnel {ours:.0f} MiB/s, median of {len(ours_s)}"


@contextlib.contextmanager
def _source() -> Iterator[int]:
    """A port that sends to whoever connects."""
    command = [sys.executable, "-m", "tests.bench.tunnel_ends", "serve", str(_MIB)]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()


def _taken_s(port: int) -> float:
    """Seconds until another process has taken all of it.

    Raises:
        RuntimeError: it was not all.
    """
    command = [sys.executable, "-m", "tests.bench.tunnel_ends", "take", str(port)]
    found = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    count, took_s = (found.stdout.split() or ["0", "0"])[:2]
    if int(count) != _MIB << 20:
        raise RuntimeError(f"{count} bytes came: {found.stderr[-200:]}")
    return float(took_s)
