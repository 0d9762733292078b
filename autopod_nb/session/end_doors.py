"""How a person ends pods through a session: their own, those of other processes, and strange ones."""

from __future__ import annotations

from autopod_nb.errors import UsageError
from autopod_nb.session import commands
from autopod_nb.session.fleet_doors import FleetDoors
from autopod_nb.session.others import look_for_strangers


class EndDoors(FleetDoors):
    """The part of a session that ends pods. Every method may be called in any thread."""

    @property
    def no_end(self) -> str:
        """Why its pods can be neither stopped nor killed, in words; empty if they can."""
        return self._provider.capabilities.no_end

    def stop(self, pod_id: str | None = None, *, now: bool = False) -> str:
        """Finish what runs, fetch, end; with *now* break off what runs.

        Returns:
            The pod's id.

        Raises:
            UsageError: no such pod, or several and none named.
        """
        self._refuse_no_end("stop")
        if pod_id is not None and pod_id not in self.snapshot.pods and self._end_foreign(pod_id, "stop", now=now):
            return pod_id
        pod = self.pick_pod(pod_id)
        self._post(commands.StopPod(pod_id=pod.pod_id, now=now))
        return pod.pod_id

    def kill(self, pod_id: str | None = None, *, yes: bool = False) -> str:
        """Terminate a pod, whatever it does.

        Returns:
            The pod's id.

        Raises:
            UsageError: no such pod; or it has results that are not here yet, and not *yes*.
        """
        self._refuse_no_end("kill")
        named = pod_id if pod_id is not None and pod_id not in self.snapshot.pods else None
        if named and (self._end_foreign(named, "kill", now=True) or self._end_stranger(named, yes=yes)):
            return named
        pod = self.pick_pod(pod_id)
        if pod.unsaved and not yes:
            raise UsageError(
                f"Pod {pod.pod_id} has {pod.unsaved} job(s) whose results are not here yet: say"
                f" `kill {pod.pod_id} --yes` to lose them, or `stop {pod.pod_id}` to finish and fetch them first."
            )
        self._post(commands.KillPod(pod_id=pod.pod_id))
        return pod.pod_id

    def disconnect(self, pod_id: str | None = None) -> str:
        """Let go of a machine that nobody can end, after what runs on it has ended and its results are here.

        Returns:
            The pod's id.

        Raises:
            UsageError: no such pod, several and none named, or one that is rented and bills: that is stopped.
        """
        pod = self.pick_pod(pod_id)
        if not self.no_end:
            text = f"Pod {pod.pod_id} is rented: `stop {pod.pod_id}` ends it, `detach {pod.pod_id}` leaves it running."
            raise UsageError(text)
        self._post(commands.StopPod(pod_id=pod.pod_id, now=False))
        return pod.pod_id

    def _refuse_no_end(self, verb: str) -> None:
        if why := self.no_end:
            raise UsageError(f"`{verb}` is refused: {why} `disconnect` lets go of it.")

    def _end_stranger(self, provider_id: str, *, yes: bool) -> bool:
        """End a pod of the account that the ledger does not know. Returns whether there is such a pod."""
        for pod in look_for_strangers(self.settings, clock=self.clock):
            if provider_id in (pod.provider_id, pod.name):
                if not yes:
                    raise UsageError(
                        f"Pod {provider_id} ({pod.name}) is not in the ledger, and may be somebody else's work: say"
                        f" `kill {provider_id} --yes` to terminate it with all that is on it."
                    )
                self._post(commands.EndStranger(provider_id=pod.provider_id))
                return True
        return False

    def detach(self, pod_id: str | None = None) -> str:
        """Let a pod run on when the session closes.

        Returns:
            What will end it now, in words.
        """
        pod = self.pick_pod(pod_id)
        self._post(commands.DetachPod(pod_id=pod.pod_id))
        return (
            f"Pod {pod.pod_id} is left running. While this Python lives it still ends when it has nothing to do for"
            f" too long, or at the session's limit. {self._provider.capabilities.fate}"
        )

    def _end_foreign(self, pod_id: str, verb: str, *, now: bool) -> bool:
        """End another process's pod. Returns whether there is such a pod."""
        for row in self.look_for_orphans().foreign:
            if row.pod_id == pod_id and row.provider_id is not None:
                self._post(commands.EndForeign(pod_id=pod_id, provider_id=row.provider_id, verb=verb, now=now))
                return True
        return False
