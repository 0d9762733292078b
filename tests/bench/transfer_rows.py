"""The median of rounds in which two ways do the same work."""

from __future__ import annotations

import statistics
from collections.abc import Callable


def beside(
    theirs: Callable[[], float], ours: Callable[[], float], *, rounds: int
) -> tuple[float, list[float], list[float]]:
    """How many times as fast ours is: the median over rounds in which one follows the other.

    Returns:
        The ratio, and the seconds that each took.
    """
    theirs_s, ours_s = [], []
    for _ in range(rounds):
        theirs_s.append(theirs())
        ours_s.append(ours())
    return statistics.median(one / two for one, two in zip(theirs_s, ours_s, strict=True)), theirs_s, ours_s
