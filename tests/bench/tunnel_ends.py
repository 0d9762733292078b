"""Both ends of a measured line, as programs of their own, so that they share no interpreter with the tunnel.

``python -m tests.bench.tunnel_ends serve MIB`` prints its port and sends so much to whoever connects, until its input
ends; ``… take PORT`` takes all that comes, and prints bytes and seconds.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

_BLOCK_BYTES = 1 << 20


def serve(mib: int) -> None:
    """Send so much to each who connects."""
    block = bytes(range(256)) * (_BLOCK_BYTES // 256)
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()

    def answer(sock: socket.socket) -> None:
        with sock:
            sock.recv(1)
            for _ in range(mib):
                sock.sendall(block)

    def accept() -> None:
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


def take(port: int) -> None:
    """Ask, and take all that comes."""
    room, count = memoryview(bytearray(_BLOCK_BYTES)), 0
    with socket.create_connection(("127.0.0.1", port)) as sock:
        begin = time.perf_counter()
        sock.sendall(b"?")
        while got := sock.recv_into(room):
            count += got
        took_s = time.perf_counter() - begin
    sys.stdout.write(f"{count} {took_s}\n")


if __name__ == "__main__":
    {"serve": serve, "take": take}[sys.argv[1]](int(sys.argv[2]))
