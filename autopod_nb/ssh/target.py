"""Which server, and by which host key it is known."""

from __future__ import annotations

import base64
import hashlib
import threading
from dataclasses import dataclass

import paramiko

from autopod_nb.errors import SshError


def fingerprint_of(key: paramiko.PKey) -> str:
    """``SHA256:…`` as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


class HostKeyPin:
    """The host key that a pod must show: known before, or the first one that it showed (trust on first use).

    Keep one for the life of a pod, over all its connections. Thread-safe.

    Args:
        fingerprint: ``SHA256:…`` as ``ssh-keygen -l`` prints it, or None to pin the first one seen.
    """

    def __init__(self, fingerprint: str | None = None) -> None:
        self._fingerprint = fingerprint
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str | None:
        """What is expected, or None as long as nothing was seen."""
        with self._lock:
            return self._fingerprint

    def check(self, found: str) -> None:
        """Pin or compare.

        Raises:
            SshError: it is another key than before.
        """
        with self._lock:
            if self._fingerprint is None:
                self._fingerprint = found
            expected = self._fingerprint
        if expected != found:
            raise SshError(
                f"The pod shows another host key ({found}) than expected ({expected}): this is not the pod that was "
                f"rented, or somebody is in between. Nothing was sent; kill the pod and rent another."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTarget:
    """Where to connect to, and as whom.

    Attributes:
        host: name or address.
        port: of the SSH server.
        user: usually ``root``.
        pin: the host key of that pod.
    """

    host: str
    port: int
    user: str
    pin: HostKeyPin
