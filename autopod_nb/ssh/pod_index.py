"""What is known of the files of a pod, so that nothing is sent that is there."""

from __future__ import annotations

import threading


class PodIndex:
    """Which content lies where on one pod. Thread-safe.

    Keep one for the life of a pod, over all its connections. It never says by itself that a file is there: each entry
    carries what the pod said of the file when it was hashed (size, inode, time of change), and counts only as long as
    the pod says the same.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, str]] = {}  # path → SHA-256, mark

    def learn(self, path: str, sha256: str, mark: str) -> None:
        """Keep that *path* had this content when the pod said *mark* of it."""
        with self._lock:
            self._known[path] = sha256, mark

    def sha256_of(self, path: str, mark: str) -> str | None:
        """What the file holds of which the pod says *mark* now; None if that was never hashed."""
        with self._lock:
            sha256, before = self._known.get(path, ("", ""))
        return sha256 if mark == before else None

    def places_of(self, sha256: str) -> dict[str, str]:
        """Path → mark of every file that had this content."""
        with self._lock:
            return {path: mark for path, (known, mark) in self._known.items() if known == sha256}

    def has_size(self, size: int) -> bool:
        """Whether a file of so many bytes was seen."""
        with self._lock:
            return any(mark.startswith(f"{size}|") for _, mark in self._known.values())
