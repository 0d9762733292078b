"""What a person asks for by a button: which action on what, once, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ActionName(str, Enum):
    """What a button does. Those of pods take a pod's id as their target, those of jobs a job's."""

    STOP = "stop"
    KILL = "kill"
    KEEP_ALIVE = "keep_alive"
    CANCEL = "cancel"
    KEEP_WAITING = "keep_waiting"
    AGAIN = "again"
    GUI = "gui"
    LOGS = "logs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One press of one button.

    Attributes:
        action_id: random, made where the button was pressed. The same press may come on two roads (comm and HTTP):
            the first one acts, the second gets the same answer.
        name: what is to be done.
        target: our id of a pod or a job.
        yes: do it although results are lost by it: the second press.
    """

    action_id: str
    name: ActionName
    target: str
    yes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionAnswer:
    """What came of a press, at once: that it was taken, never that it is done.

    Attributes:
        text: one line for the person.
        taken: whether a command was posted.
        wants_yes: results that are not here yet would be lost: it wants a second press.
    """

    text: str
    taken: bool = True
    wants_yes: bool = False
