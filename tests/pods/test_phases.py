"""Each phase of a boot is told once and has a time of its own."""

from __future__ import annotations

import pytest

from autopod_nb.clock import TestClock
from autopod_nb.errors import BootFailed
from autopod_nb.models.pod import BootPhase
from autopod_nb.pods.phases import BUDGET_S, PhaseWatch


def test_a_phase_is_told_when_it_begins() -> None:
    told: list[str] = []
    watch = PhaseWatch(TestClock(), told.append)
    for phase in (BootPhase.RENTED, BootPhase.RENTED, BootPhase.PULLING, None, BootPhase.CONTAINER):
        watch.see(phase)
    assert told == ["rented", "pulling its image", "its container starts"]


@pytest.mark.parametrize("phase", BUDGET_S)
def test_one_that_takes_too_long_ends_the_boot_and_names_itself(phase: BootPhase) -> None:
    clock = TestClock()
    watch = PhaseWatch(clock)
    watch.see(phase)
    clock.advance(BUDGET_S[phase] - 1)
    watch.see(phase)
    clock.advance(1)
    with pytest.raises(BootFailed, match=f"in the phase {phase.value!r} for more than 3 minutes"):
        watch.see(phase)


def test_the_time_begins_anew_with_each_phase_and_pulling_has_none() -> None:
    clock = TestClock()
    watch = PhaseWatch(clock)
    for phase in (BootPhase.RENTED, BootPhase.PULLING, BootPhase.CONTAINER):
        watch.see(phase)
        clock.advance(170)
        watch.see(phase)
    watch.see(BootPhase.PULLING)
    clock.advance(3600)
    watch.see(BootPhase.PULLING)
