"""How long a pod without work is kept when more jobs may come. Pure.

Ending it costs a boot when the next job comes; keeping it costs its price for as long as that takes. Who knows nothing
of the future pays at most twice as much as who knows all of it by keeping it for as long as a boot costs: the
break-even rule. Once some pauses have been seen, the time that would have cost least over them is taken, never longer
than that.
"""

from __future__ import annotations

from collections.abc import Sequence

_LEAST_GAPS = 4  # fewer say nothing; a guess
_NEWEST = 30  # older ones are of another day; a guess


def rest_s(break_even_s: float, gaps_s: Sequence[float]) -> float:
    """For how long a pod without work is kept.

    Args:
        break_even_s: for so long it could be paid for what ending it and starting one anew costs.
        gaps_s: how long it took until the next job came, the last times that nothing was left to do; newest last.

    Returns:
        Seconds, 0 to *break_even_s*.
    """
    gaps = list(gaps_s)[-_NEWEST:]
    if len(gaps) < _LEAST_GAPS:
        return break_even_s
    times = sorted({0.0, break_even_s, *(gap for gap in gaps if gap < break_even_s)})
    return min(times, key=lambda kept_s: (_cost_s(kept_s, break_even_s, gaps), kept_s))


def _cost_s(kept_s: float, break_even_s: float, gaps_s: Sequence[float]) -> float:
    """What keeping it for *kept_s* would have cost, as seconds of the pod."""
    return sum(gap if gap <= kept_s else kept_s + break_even_s for gap in gaps_s)
