"""Who does what: the lanes that effects run in, each a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from autopod_nb.session.effects import (
    AdoptPod,
    ArmWatchdog,
    AskOffers,
    BeatWatchdog,
    BootPod,
    CancelPrompt,
    CheckAccount,
    CreatePod,
    DropLine,
    Effect,
    EndForeignPod,
    FetchLogs,
    FetchResults,
    ForgetPrompt,
    KeepReaper,
    LookAtGpu,
    PollCommands,
    ReadRuns,
    ReadSpent,
    ReopenLine,
    StopAtProvider,
    StopUpload,
    SubmitPrompt,
    TellWritten,
    TerminateAtProvider,
    TerminateStranger,
    UploadInputs,
    WriteLedger,
)
from autopod_nb.threads import ServiceThread

_log = logging.getLogger(__name__)
_MONEY = "money"  # stop and terminate: never behind anything else
_LEDGER = "ledger"  # one thread, in order
_TRANSFERS = "transfers"  # of a pod: what hangs on its dead line must not hold up what another pod has rendered
_CARE = "care"  # short looks at what runs
_QUESTIONS = "questions"  # somebody waits for the answer
_TRANSFER_THREADS = 3


_LANES: dict[type, str] = {
    StopAtProvider: _MONEY,
    TerminateAtProvider: _MONEY,
    EndForeignPod: _MONEY,
    TerminateStranger: _MONEY,
    WriteLedger: _LEDGER,
    TellWritten: _LEDGER,
    PollCommands: _LEDGER,
    ReadSpent: _LEDGER,
    ReadRuns: _LEDGER,
    AskOffers: _QUESTIONS,
    FetchLogs: _QUESTIONS,
    LookAtGpu: _CARE,
    BeatWatchdog: _CARE,
    ArmWatchdog: "guard",  # takes its time when the provider does not answer the pod
    KeepReaper: _CARE,
    CheckAccount: _CARE,
    # quick, and must not wait for what they abort
    DropLine: "control",
    ForgetPrompt: "control",
    StopUpload: "control",
}


def lane_of(effect: Effect) -> str:
    """The name of the lane that does it: what is not in the table belongs to its pod."""
    if isinstance(effect, (CreatePod, BootPod, AdoptPod, ReopenLine)):
        return f"pod-{effect.pod_id}"
    if isinstance(effect, FetchResults):
        return f"{_TRANSFERS}-{effect.pod_id}"
    if isinstance(effect, UploadInputs):  # results that wait to be fetched must not keep the GPU from its next job
        return f"uploads-{effect.pod_id}"
    if isinstance(effect, (SubmitPrompt, CancelPrompt)):  # what hangs on a dead line must not keep it from being opened
        return f"prompts-{effect.pod_id}"
    return _LANES[type(effect)]


class _Lane:
    """A queue and the threads that empty it."""

    def __init__(self, name: str, threads: int, work: Callable[[list[Effect]], None], *, batch: bool) -> None:
        self._queue: queue.SimpleQueue[Effect | None] = queue.SimpleQueue()
        self._work = work
        self._batch = batch
        self._threads = [
            ServiceThread(f"autopod-{name}" if threads == 1 else f"autopod-{name}-{number}", self._run).start()
            for number in range(threads)
        ]

    def put(self, effect: Effect) -> None:
        self._queue.put(effect)

    def _run(self, stop: threading.Event) -> None:
        while True:
            effect = self._queue.get()
            if effect is None:
                return
            effects = [effect]
            ended = False
            while self._batch and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    ended = True
                    break
                effects.append(more)
            self._work(effects)
            if ended or stop.is_set():
                return

    def stop(self, *, finish: bool) -> None:
        """End after what waits (*finish*), or after what is being done."""
        for thread in self._threads:
            if not finish:
                thread.stop()
            self._queue.put(None)

    def join(self, timeout_s: float) -> bool:
        ended = [thread.join(timeout_s) for thread in self._threads]  # each of them, also after one that did not end
        return all(ended)


class Lanes:
    """The lanes of a session: those in the table from the beginning, those of a pod when they are first needed.

    A thread that gives pods back must not have to be started first, at the moment when it is needed.

    Args:
        work: does one effect, or several of the ledger's at once; called in the lane's thread, must not raise.
    """

    def __init__(self, work: Callable[[list[Effect]], None]) -> None:
        self._work = work
        self._lanes: dict[str, _Lane] = {}
        for name in dict.fromkeys(_LANES.values()):
            self._open(name)

    def _open(self, name: str) -> _Lane:
        threads = _TRANSFER_THREADS if name.startswith(_TRANSFERS) else 1
        self._lanes[name] = _Lane(name, threads, self._work, batch=name == _LEDGER)
        return self._lanes[name]

    def put(self, effect: Effect) -> None:
        """Hand it to its lane. Called by the session thread only."""
        name = lane_of(effect)
        lane = self._lanes.get(name) or self._open(name)
        lane.put(effect)

    def close(self, timeout_s: float) -> None:
        """End every lane: money and ledger finish what waits, the others only what they are at."""
        for name, lane in self._lanes.items():
            if name != _LEDGER:
                lane.stop(finish=name == _MONEY)
        for name, lane in self._lanes.items():
            if name != _LEDGER and not lane.join(timeout_s):
                _log.error("lane %s did not end within %s s", name, timeout_s)
        self._lanes[_LEDGER].stop(finish=True)
        self._lanes[_LEDGER].join(timeout_s)
