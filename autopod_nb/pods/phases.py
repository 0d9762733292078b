"""How long a booting pod may take for each phase: a pod that hangs in an early one need not cost a whole boot."""

from __future__ import annotations

from collections.abc import Callable

from autopod_nb.clock import Clock, Deadline
from autopod_nb.errors import BootFailed
from autopod_nb.models.pod import BootPhase

BUDGET_S = {
    BootPhase.RENTED: 180.0,
    BootPhase.CONTAINER: 180.0,
    BootPhase.SSH: 180.0,
}
"""Seconds of the phases that a well pod is through in moments; guesses, three minutes as for a slow sshd. Pulling an
image and a first start of ComfyUI may take as long as the whole boot may."""


class PhaseWatch:
    """Sees the phases go by, in the thread that waits.

    Args:
        clock: the time.
        on_phase: called with the name of each new phase.
    """

    def __init__(self, clock: Clock, on_phase: Callable[[str], None] = lambda _: None) -> None:
        self._clock = clock
        self._on_phase = on_phase
        self._phase: BootPhase | None = None
        self._deadline = Deadline(clock, None)

    def see(self, phase: BootPhase | None) -> None:
        """It is in this phase now; None if nobody can tell.

        Raises:
            BootFailed: it was in it for too long.
        """
        if phase is not self._phase:
            self._phase = phase
            self._deadline = Deadline(self._clock, None if phase is None else BUDGET_S.get(phase))
            if phase is not None:
                self._on_phase(phase.value)
        if self._deadline.passed and phase is not None:
            minutes = BUDGET_S[phase] / 60
            raise BootFailed(f"it was in the phase {phase.value!r} for more than {minutes:g} minutes")
