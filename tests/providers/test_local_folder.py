"""The folder of a local pod, ended from many sides at the same moment."""

from __future__ import annotations

import subprocess
import threading
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from autopod_nb.providers.local_folder import PodFolder, read_bill

_SIDES = 6
_ROUNDS = 40
_STARTS = 300
_START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def _end(folder: PodFolder, begin: threading.Barrier, failures: list[BaseException]) -> None:
    begin.wait(20)
    try:
        folder.close_stretch(_START + timedelta(hours=1))
        folder.remove()
    except Exception as failure:  # noqa: BLE001 - shown by the test
        failures.append(failure)


def test_many_sides_remove_a_folder_at_once_and_the_bill_has_one_row(tmp_path: Path) -> None:
    """Whoever comes second finds nothing to do; no side fails, no row is lost or written twice."""
    failures: list[BaseException] = []
    for number in range(_ROUNDS):
        folder = PodFolder(tmp_path, f"pod-{number}")
        folder.make({"gpu": "A40"})
        for name in ("lease", "pod.json", "boot.log"):
            (folder.path / name).write_text("{}")
        folder.open_stretch(_START, Decimal("0.40"))
        begin = threading.Barrier(_SIDES)
        sides = [threading.Thread(target=_end, args=(folder, begin, failures)) for _ in range(_SIDES)]
        for side in sides:
            side.start()
        for side in sides:
            side.join(20)
    assert failures == []
    assert [(row[0], Decimal(row[3])) for row in read_bill(tmp_path)] == [
        (f"pod-{number}", Decimal("0.40")) for number in range(_ROUNDS)
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["billing.jsonl"]


def test_a_program_is_found_in_the_very_moment_in_which_it_begins(tmp_path: Path) -> None:
    """Of a process that has just become another program, the system tells no command line for some microseconds."""
    folder = PodFolder(tmp_path, "pod")
    unseen = []
    for number in range(_STARTS):
        with subprocess.Popen(["sh", "-c", "read line", "--dir", str(folder.path), "-"], stdin=subprocess.PIPE) as pod:
            if not folder.is_pod(pod.pid):
                unseen.append(number)
            pod.communicate()
        assert not folder.is_pod(pod.pid)
    assert unseen == []
