"""Cases that a watchdog decides: a table, any words, and the looks of a healthy run."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator

from hypothesis import strategies as st

from tests.ssh.watchdog_world import SCRIPT, SHELLS

QUIET_S = 600
FACTOR = 3
POLL_S = 15
T = 1_790_000_000  # a moment in 2026

Case = tuple[str | int, str | int, str | int, str | int, str | int, str | int]


def decide(cases: list[Case], shell: str = "sh") -> list[str]:
    """The script's verdicts, all from one process."""
    lines = "".join(" ".join(map(str, case)) + "\n" for case in cases)
    found = subprocess.run(
        [*SHELLS[shell], str(SCRIPT), "decide-many"], input=lines, capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    return found.stdout.splitlines()


TABLE: dict[str, tuple[Case, str]] = {
    "a fresh beat": ((T + 1, T, 600, "none", 0, 3), "wait"),
    "one second before the quiet time is over": ((T + 599, T, 600, "none", 0, 3), "wait"),
    "the quiet time is over, nothing in the queue": ((T + 600, T, 600, "none", 0, 3), "empty"),
    "the quiet time is over, one in the queue": ((T + 600, T, 600, "none", 1, 3), "wait"),
    "silent for a day, one in the queue": ((T + 86400, T, 600, "none", 1, 3), "wait"),
    "the quiet time is over, queue unknown": ((T + 600, T, 600, "none", "unknown", 3), "wait"),
    "one second before three quiet times, queue unknown": ((T + 1799, T, 600, "none", "unknown", 3), "wait"),
    "three quiet times, queue unknown": ((T + 1800, T, 600, "none", "unknown", 3), "cannot be read"),
    "one second before the deadline": ((T + 1, T, 600, T + 2, 0, 3), "wait"),
    "the deadline, and just called": ((T + 2, T + 2, 600, T + 2, 0, 3), "deadline"),
    "the deadline, and work in the queue": ((T + 2, T + 2, 600, T + 2, 5, 3), "deadline"),
    "the deadline, and nothing else is known": ((T + 2, "none", "x", T + 2, "unknown", "x"), "deadline"),
    "a beat from the future": ((T, T + 5000, 600, "none", 0, 3), "wait"),
    "a beat from the far future, queue unknown": ((T, 999999999999999, 1, "none", "unknown", 1), "wait"),
    "a clock at 1970": ((0, T, 600, "none", 0, 3), "wait"),
    "a clock that cannot be read": (("x", T, 600, T, 0, 3), "wait"),
    "a negative clock": ((-5, 0, 1, "none", 0, 3), "wait"),
    "a clock too long for arithmetic": (("9" * 19, 0, 1, "none", 0, 3), "wait"),
    "no beat": ((T, "none", 600, "none", 0, 3), "wait"),
    "a beat that could be octal": ((T, "0123", 600, "none", 0, 3), "wait"),
    "no quiet time": ((T + 600, T, 0, "none", 0, 3), "wait"),
    "a factor of nothing": ((T + 600, T, 600, "none", "unknown", 0), "wait"),
    "a deadline that is none": ((T + 5, T, 600, "soon", 0, 3), "wait"),
    "a huge factor": ((T, 0, 1, "none", "unknown", 999999999999999), "wait"),
}


_NUMBERS = st.one_of(st.integers(0, 5000), st.integers(0, 10**15 - 1))
_GARBAGE = st.sampled_from(["none", "unknown", "-1", "1.5", "$(id)", "*", "007", "9" * 30, "`", "1;2"])
WORDS = st.one_of(_NUMBERS, _GARBAGE)


def _number(word: str | int) -> int | None:
    return word if isinstance(word, int) else None


def may_act(case: Case) -> bool:
    """The rule, said a second time."""
    now, last, quiet, deadline, queue, factor = map(_number, case)
    if now is None:
        return False
    if deadline is not None and now >= deadline:
        return True
    if last is None or not quiet or not factor or queue not in (None, 0):
        return False
    return now - last >= quiet * (factor if queue is None else 1)


def healthy_run(dice: random.Random) -> Iterator[Case]:
    """An hour of looks at a pod whose owner calls every 30 s, but late: hiccups, and holes of nearly the quiet time."""
    now = last = T + dice.randrange(10**6)
    end, deadline = now + 3600, now + 3601
    due, queue = now + 30, 0
    while now < end:
        now += POLL_S
        if now >= due:  # this look is the first that sees the beat
            last = now
            late = dice.choice([0, 0, 0, dice.expovariate(1 / 40), dice.uniform(300, QUIET_S)])
            due = now + 30 + min(int(late), QUIET_S - 31)
        queue = dice.choice([queue, queue, queue, 0, dice.randrange(4)])
        yield now, last, QUIET_S, deadline, "unknown" if dice.random() < 1 / 3 else queue, FACTOR
