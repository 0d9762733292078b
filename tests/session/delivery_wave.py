"""Many deliveries at the same time, each at a moment of its own, and the judgement of all."""

from __future__ import annotations

import queue
import statistics
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.session.delivery import Chance, Delivery, Figures

PROMISED_S, NEVER_S = 2.0, 6.0  # from a line that is good to a result that is here
FOUND_S, LONG_S = 10.0, 15.0  # until silence is found
_GRACE_S = 600.0

Case = Callable[[Delivery, Chance], Figures]


@dataclass
class Outcomes:
    """Of one case."""

    figures: list[Figures] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Wave:
    """Runs every case so many times, on all the pods at the same time.

    A case that fails leaves its pod to the next one if that can be mended, and else to nobody.
    """

    def __init__(self, cases: Mapping[str, Case], repeats: int) -> None:
        self.repeats = repeats
        self._cases = dict(cases)
        self._outcomes = {name: Outcomes() for name in cases}
        self._waiting: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        for number in range(repeats):
            for name in cases:
                self._waiting.put((name, number))

    def run(self, pods: Sequence[Delivery]) -> None:
        """Until every case is through."""
        threads = [threading.Thread(target=self._serve, args=(at,), name=f"wave-{at.pod_id}") for at in pods]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_GRACE_S)
        while not self._waiting.empty():
            name, number = self._waiting.get()
            self._outcomes[name].errors.append(f"number {number}: no pod was left for it")

    def _serve(self, at: Delivery) -> None:
        while True:
            try:
                name, number = self._waiting.get_nowait()
            except queue.Empty:
                return
            outcomes = self._outcomes[name]
            try:
                at.until_ready()
                outcomes.figures.append(self._cases[name](at, Chance(f"{name}-{self.repeats}", number)))
            except Exception:  # noqa: BLE001 - the test of the case tells of it
                error = traceback.format_exc(chain=False)
                outcomes.errors.append(f"number {number} on pod {at.pod_id}: {error}\n{at.told()}")

    def judge(self, name: str) -> None:
        """Hold a case to what is promised: every one arrives, and soon."""
        outcomes = self._outcomes[name]
        assert not outcomes.errors, "\n\n".join(outcomes.errors)
        assert len(outcomes.figures) == self.repeats
        judge(name, outcomes.figures)


def judge(name: str, figures: Sequence[Figures]) -> None:
    """Print the figures, and hold them to what is promised.

    These machines are shared and noisy, so one of ten may miss it, or one of fewer, but none by far.
    """
    told = report(f"{name}: late", [each.late_s for each in figures])
    if stalled := [f"{each.late_s:.2f} - {each.stalled_s:.2f}" for each in figures if each.stalled_s]:
        told += f"; of which the machine stood still: {', '.join(stalled)}"
    assert _are_soon([each.net_s for each in figures], PROMISED_S, NEVER_S), told
    if found := [each.found_s for each in figures if each.found_s is not None]:
        told = report(f"{name}: found after", found)
        assert _are_soon(found, FOUND_S, LONG_S), told


def _are_soon(times: Sequence[float], promised_s: float, never_s: float) -> bool:
    late = sum(each > promised_s for each in times)
    return max(times) <= never_s and late <= max(1, len(times) // 10)


def report(what: str, figures: Sequence[float]) -> str:
    """Median and worst, printed for who runs the tests with ``-s`` or ``-rP``; and all."""
    text = f"{what}: {len(figures)} times, median {statistics.median(figures):.2f} s, worst {max(figures):.2f} s"
    text += f" ({' '.join(f'{figure:.2f}' for figure in figures)})"
    print(text)  # noqa: T201 - the figures are promised
    return text
