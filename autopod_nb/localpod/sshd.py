"""The pod's SSH server: one key, commands with a bare environment, files, and the way to ComfyUI."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import Any

import asyncssh

from autopod_nb.localpod.children import Children
from autopod_nb.localpod.environ import bare_environ
from autopod_nb.localpod.sftp import PodFiles

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes128-ctr")
_WINDOW_BYTES = 8 << 20
_PACKET_BYTES = 128 << 10  # of a forwarded connection; asyncssh's own 32 KiB costs a third of the speed
_CHUNK_BYTES = 64 << 10
_LOGIN_S = 30
_SSH_PID = "AUTOPOD_SSH_PID"
_KEEPER = ("/bin/cat",)  # lives as long as its input is open, and so no longer than this process


def load_host_key(path: Path) -> asyncssh.SSHKey:
    """The pod's host key, made when it is first asked for; mode 0600."""
    if not path.exists():
        key = asyncssh.generate_private_key("ssh-ed25519")
        path.touch(mode=0o600)
        path.write_bytes(key.export_private_key())
    return asyncssh.read_private_key(str(path))


class _Gate(asyncssh.SSHServer):
    """One connection: who comes in, where it may be forwarded to, and which process it ends with."""

    def __init__(self, comfyui_port: int, children: Children) -> None:
        self._comfyui_port = comfyui_port
        self._children = children
        self._ended = False
        self._keeper: asyncio.Task[Process] | None = None
        self._follower: asyncio.Task[None] | None = None

    def connection_made(self, conn: Any) -> None:
        self._conn = conn
        conn.set_extra_info(gate=self)
        _log.info("connection from %s", conn.get_extra_info("peername"))

    def connection_lost(self, exc: Exception | None) -> None:
        _log.info("connection ended: %s", exc or "closed")
        self._ended = True
        if self._keeper is not None and self._keeper.done() and not self._keeper.exception():
            self._children.kill(self._keeper.result())

    async def process_id(self) -> int:
        """A process of this connection alone: whoever kills it ends the connection, as with OpenSSH's own.

        Raises:
            OSError: it cannot be started.
        """
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())
        return (await asyncio.shield(self._keeper)).pid

    async def _keep(self) -> Process:
        environ = bare_environ(self._children.pod_dir)
        keeper = await self._children.spawn(_KEEPER, environ=environ, output=DEVNULL, errors=DEVNULL)
        if self._ended:
            self._children.kill(keeper)
        self._follower = asyncio.create_task(self._follow(keeper))
        return keeper

    async def _follow(self, keeper: Process) -> None:
        await self._children.wait(keeper)
        if not self._ended:
            self._conn.abort()

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - every user name is the same user
        return True  # never let in without a key

    def connection_requested(self, dest_host: str, dest_port: int, *_origin: object) -> Any:
        if dest_host not in (HOST, "localhost") or dest_port != self._comfyui_port:
            _log.warning("refused to forward to %s:%d", dest_host, dest_port)
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, f"only {HOST}:{self._comfyui_port} is forwarded"
            )
        channel = self._conn.create_tcp_channel(window=_WINDOW_BYTES, max_pktsize=_PACKET_BYTES)
        return channel, self._conn.forward_connection(HOST, dest_port)


class _Shell:
    """Runs one command after the other with ``/bin/sh -c``."""

    def __init__(self, children: Children, pod_dir: Path) -> None:
        self._children = children
        self._pod_dir = pod_dir

    async def __call__(self, process: Any) -> None:
        """Serve one channel. The command dies with it."""
        argv = ["/bin/sh", "-c", process.command] if process.command is not None else ["/bin/sh"]
        try:
            marks = {_SSH_PID: str(await process.get_extra_info("gate").process_id())}
            child = await self._children.spawn(argv, environ=bare_environ(self._pod_dir) | marks)
        except (OSError, ValueError) as error:  # no more processes; a NUL in the command
            process.stderr.write(f"cannot run that: {error}\n".encode())
            process.exit(126)
            return
        closed = asyncio.create_task(process.wait_closed())
        finished = asyncio.create_task(self._finish(process, child))
        try:
            await asyncio.wait({closed, finished}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._children.kill(child)
            closed.cancel()
            finished.cancel()
        await self._children.wait(child)

    async def _finish(self, process: Any, child: Process) -> None:
        """Carry bytes until the command and its outputs have ended, then tell its status."""
        feed = asyncio.create_task(_feed(process.stdin, child))
        try:
            await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
            status = await self._children.wait(child)
        finally:
            feed.cancel()
        if status < 0:
            process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            process.exit(status)


async def _copy(source: Any, sink: Any) -> None:
    """Carry bytes until the source ends or nobody takes them any more.

    asyncssh can do that by itself, but ends the whole connection when a command ends before it has read its input.
    """
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(_CHUNK_BYTES):
            sink.write(data)
            await sink.drain()


async def _feed(source: Any, child: Process) -> None:
    await _copy(source, child.stdin)
    if child.stdin is not None:
        child.stdin.close()


async def start_sshd(
    *, pod_dir: Path, public_key: str, host_key: asyncssh.SSHKey, children: Children, comfyui_port: int
) -> asyncssh.SSHAcceptor:
    """Start the server on loopback and a free port.

    Args:
        pod_dir: what SFTP sees and where commands run, without symbolic links in its path.
        public_key: the one key that is let in, as a line of ``authorized_keys``.
        host_key: shown to clients.
        children: start the commands.
        comfyui_port: the only port that connections are forwarded to.
    """
    return await asyncssh.create_server(
        lambda: _Gate(comfyui_port, children),
        HOST,
        0,
        server_host_keys=[host_key],
        authorized_client_keys=asyncssh.import_authorized_keys(public_key),
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        gss_kex=False,
        gss_auth=False,
        process_factory=_Shell(children, pod_dir),
        sftp_factory=lambda chan: PodFiles(chan, pod_dir),
        allow_scp=False,
        allow_pty=False,
        agent_forwarding=False,
        x11_forwarding=False,
        encoding=None,
        window=_WINDOW_BYTES,
        max_pktsize=_PACKET_BYTES,
        encryption_algs=_CIPHERS,
        compression_algs=None,
        login_timeout=_LOGIN_S,
    )
