"""What any state machine that is one table must hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TypeVar

State = TypeVar("State", bound=Enum)
Event = TypeVar("Event", bound=Enum)


def reachable(table: Mapping[tuple[State, Event], State], start: State) -> set[State]:
    """Every state to which events lead from *start*, itself among them."""
    found, new = {start}, [start]
    while new:
        state = new.pop()
        for (before, _), after in table.items():
            if before is state and after not in found:
                found.add(after)
                new.append(after)
    return found


def exits(table: Mapping[tuple[State, Event], State], state: State) -> set[State]:
    """The states to which one event leads from *state*."""
    return {after for (before, _), after in table.items() if before is state}


def moves(table: Mapping[tuple[State, Event], State], states: Iterable[State], event: Event) -> dict[State, State]:
    """State → state for one event."""
    return {state: table[state, event] for state in states if (state, event) in table}
