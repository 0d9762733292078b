"""What can be written to the ledger of pods, jobs, results and charges: one frozen record for each kind of change.

``Ledger.write`` applies them in order, in one transaction. A record that does not fit what the ledger holds (a pod
that it does not know, a job that is there already) fails the whole batch.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from autopod_nb.errors import LedgerRefused
from autopod_nb.models.job import JobSpec, JobState, RemoteFile, ResultFile, job_is_over
from autopod_nb.models.money import Charge, MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.storage.columns import execute, files_to_json, spec_to_json, to_micro_usd, to_us

_JOB_KEY = "(SELECT job_key FROM jobs WHERE session_id = :session_id AND job_id = :job_id)"
_ATTEMPT_KEY = f"(SELECT attempt_key FROM attempts WHERE attempt = :attempt AND job_key = {_JOB_KEY})"  # noqa: S608 - no value
_FINISHED = tuple(state.value for state in JobState if job_is_over(state))


@dataclass(frozen=True, slots=True, kw_only=True)
class PodIntent:
    """A pod will be asked for. Written before create is called; from here on it may bill, so it is *requested*."""

    survives_power_loss: ClassVar[bool] = True

    pod_id: str
    name: str
    session_id: str
    provider: str
    gpu_type: str
    gpu_count: int
    price_per_hour_usd: Decimal
    stopped_price_per_hour_usd: Decimal
    kind: MoneyKind
    at: datetime
    session_limit_usd: Decimal | None = None
    idle_minutes: Decimal | None = None
    place: str = ""

    def apply(self, db: sqlite3.Connection) -> None:
        """Insert the pod."""
        execute(
            db,
            """INSERT INTO pods (pod_id, name, session_id, provider, gpu_type, gpu_count, price_per_hour_usd,
                 stopped_price_per_hour_usd, kind, state, created_us, updated_us, session_limit_usd, idle_minutes,
                 place)
               VALUES (:pod_id, :name, :session_id, :provider, :gpu_type, :gpu_count, :price, :stopped_price, :kind,
                 :state, :at_us, :at_us, :session_limit, :idle_minutes, :place)""",
            pod_id=self.pod_id,
            name=self.name,
            session_id=self.session_id,
            provider=self.provider,
            gpu_type=self.gpu_type,
            gpu_count=self.gpu_count,
            price=str(self.price_per_hour_usd),
            stopped_price=str(self.stopped_price_per_hour_usd),
            kind=self.kind.value,
            state=PodState.REQUESTED.value,
            at_us=to_us(self.at),
            session_limit=None if self.session_limit_usd is None else str(self.session_limit_usd),
            idle_minutes=None if self.idle_minutes is None else str(self.idle_minutes),
            place=self.place,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PodChanged:
    """A pod came into a state. ``provider_id`` None and ``error`` empty keep what is there."""

    survives_power_loss: ClassVar[bool] = True  # a dozen in a pod's life, and who looks for it needs the provider's id

    pod_id: str
    state: PodState
    at: datetime
    provider_id: str | None = None
    error: str = ""

    def apply(self, db: sqlite3.Connection) -> None:
        """Update the pod."""
        touched = execute(
            db,
            """UPDATE pods SET state = :state, updated_us = :at_us, provider_id = coalesce(:provider_id, provider_id),
                 error = coalesce(nullif(:error, ''), error) WHERE pod_id = :pod_id""",
            pod_id=self.pod_id,
            state=self.state.value,
            at_us=to_us(self.at),
            provider_id=self.provider_id,
            error=self.error,
        )
        if not touched:
            raise LedgerRefused(f"The ledger has no pod {self.pod_id}, so it cannot become {self.state.value}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodDetached:
    """A pod is to go on when its session ends."""

    survives_power_loss: ClassVar[bool] = True

    pod_id: str

    def apply(self, db: sqlite3.Connection) -> None:
        """Update the pod."""
        execute(db, "UPDATE pods SET detached = 1 WHERE pod_id = :pod_id", pod_id=self.pod_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecorded:
    """A job was queued, as attempt 1. Its key is session id and job id: a later session may use the job id again."""

    survives_power_loss: ClassVar[bool] = False

    session_id: str
    spec: JobSpec
    at: datetime
    template_path: str | None = None

    def apply(self, db: sqlite3.Connection) -> None:
        """Insert the job and its first attempt."""
        execute(
            db,
            """INSERT INTO jobs (session_id, job_id, template, spec, template_path)
               VALUES (:session_id, :job_id, :template, :spec, :template_path)""",
            session_id=self.session_id,
            job_id=self.spec.job_id,
            template=self.spec.workflow_template,
            spec=spec_to_json(self.spec),
            template_path=self.template_path,
        )
        _insert_attempt(db, self.session_id, self.spec.job_id, 1, self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChanged:
    """An attempt came into a state. ``pod_id``, ``prompt_id``, ``error`` and ``made`` keep what is there when empty.

    The ledger sets *started* when a pod first has it and *ended* at an end state. The first change of attempt N + 1
    ends attempt N as failed.
    """

    survives_power_loss: ClassVar[bool] = False

    session_id: str
    job_id: str
    attempt: int
    state: JobState
    at: datetime
    pod_id: str | None = None
    prompt_id: str | None = None
    error: str = ""
    made: tuple[RemoteFile, ...] = ()

    def apply(self, db: sqlite3.Connection) -> None:
        """Update the attempt; a new one is inserted first."""
        if self._update(db):
            return
        self._end_earlier(db)
        _insert_attempt(db, self.session_id, self.job_id, self.attempt, self.at)
        self._update(db)

    def _update(self, db: sqlite3.Connection) -> int:
        over = job_is_over(self.state)
        at_us = to_us(self.at)
        return execute(
            db,
            f"""UPDATE attempts SET state = :state, updated_us = :at_us, pod_id = coalesce(:pod_id, pod_id),
                  prompt_id = coalesce(:prompt_id, prompt_id), error = coalesce(nullif(:error, ''), error),
                  started_us = coalesce(started_us, :started_us), ended_us = coalesce(ended_us, :ended_us),
                  made = coalesce(:made, made)
                WHERE attempt = :attempt AND job_key = {_JOB_KEY}""",  # noqa: S608 - a constant of ours, no value
            session_id=self.session_id,
            job_id=self.job_id,
            attempt=self.attempt,
            state=self.state.value,
            at_us=at_us,
            pod_id=self.pod_id,
            prompt_id=self.prompt_id,
            error=self.error,
            started_us=None if over or self.state is JobState.QUEUED else at_us,
            ended_us=at_us if over else None,
            made=files_to_json(self.made) if self.made else None,
        )

    def _end_earlier(self, db: sqlite3.Connection) -> None:
        finished = ", ".join(f"'{state}'" for state in _FINISHED)
        execute(
            db,
            f"""UPDATE attempts SET state = :failed, updated_us = :at_us, ended_us = :at_us,
                  error = coalesce(nullif(error, ''), :why)
                WHERE attempt < :attempt AND state NOT IN ({finished}) AND job_key = {_JOB_KEY}""",  # noqa: S608 - the same
            session_id=self.session_id,
            job_id=self.job_id,
            attempt=self.attempt,
            failed=JobState.FAILED.value,
            at_us=to_us(self.at),
            why=self.error or f"Its pod or server died; attempt {self.attempt} follows.",
        )


def _insert_attempt(db: sqlite3.Connection, session_id: str, job_id: str, attempt: int, at: datetime) -> None:
    touched = execute(
        db,
        """INSERT INTO attempts (job_key, attempt, state, submitted_us, updated_us)
           SELECT job_key, :attempt, :state, :at_us, :at_us FROM jobs
           WHERE session_id = :session_id AND job_id = :job_id""",
        session_id=session_id,
        job_id=job_id,
        attempt=attempt,
        state=JobState.QUEUED.value,
        at_us=to_us(at),
    )
    if not touched:
        raise LedgerRefused(f"The ledger has no job {job_id!r} in session {session_id}; record it before it changes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRecorded:
    """A file of an attempt is here, whole."""

    survives_power_loss: ClassVar[bool] = False

    session_id: str
    job_id: str
    attempt: int
    result: ResultFile
    at: datetime

    def apply(self, db: sqlite3.Connection) -> None:
        """Insert the result."""
        result, source = self.result, self.result.source
        execute(
            db,
            f"""INSERT INTO results (attempt_key, output, path, bytes, sha256, verified, node_id, filename, subfolder,
                  folder, recorded_us)
                VALUES ({_ATTEMPT_KEY}, :output, :path, :bytes, :sha256, :verified, :node_id, :filename, :subfolder,
                  :folder, :at_us)""",  # noqa: S608 - a constant of ours, no value
            session_id=self.session_id,
            job_id=self.job_id,
            attempt=self.attempt,
            output=result.output,
            path=str(result.path),
            bytes=result.bytes,
            sha256=result.sha256,
            verified=result.verified.value,
            node_id=source.node_id,
            filename=source.filename,
            subfolder=source.subfolder,
            folder=source.folder,
            at_us=to_us(self.at),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRecorded:
    """A stretch of a pod's time is booked. Its pod must be of the same kind of money; a job's attempt must be known."""

    # One every few seconds at most would bear a sync, but a burst of short jobs would not. What a power cut may take
    # is the last stretch, and whoever adopts the pod books on from the last charge that is here.
    survives_power_loss: ClassVar[bool] = False

    session_id: str
    charge: Charge

    def apply(self, db: sqlite3.Connection) -> None:
        """Insert the charge."""
        charge = self.charge
        execute(
            db,
            f"""INSERT INTO charges (session_id, pod_id, attempt_key, purpose, kind, start_us, seconds,
                  price_per_hour_usd, amount_micro_usd)
                VALUES (:session_id, :pod_id, {_ATTEMPT_KEY}, :purpose, :kind, :start_us, :seconds, :price,
                  :amount)""",  # noqa: S608 - a constant of ours, no value
            session_id=self.session_id,
            pod_id=charge.pod_id,
            job_id=charge.job_id,
            attempt=charge.attempt,
            purpose=charge.purpose.value,
            kind=charge.kind.value,
            start_us=to_us(charge.start),
            seconds=str(charge.seconds),
            price=str(charge.price_per_hour_usd),
            amount=to_micro_usd(charge.amount_usd),
        )
