"""What can be written to the ledger of who owns a pod, and of what others ask of the owner."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar

from autopod_nb.errors import LedgerRefused
from autopod_nb.models.job import JsonValue
from autopod_nb.storage.columns import execute, from_us, to_us
from autopod_nb.storage.rows import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTaken:
    """A process takes a pod: one that nobody owns, its own, or one whose owner was last heard before *stale_before*."""

    survives_power_loss: ClassVar[bool] = False

    pod_id: str
    owner: Owner
    at: datetime
    stale_before: datetime | None = None

    def apply(self, db: sqlite3.Connection) -> None:
        """Insert or take over the lease."""
        touched = execute(
            db,
            """INSERT INTO leases (pod_id, owner_id, role, host, pid, renewed_us)
               VALUES (:pod_id, :owner_id, :role, :host, :pid, :at_us)
               ON CONFLICT (pod_id) DO UPDATE SET owner_id = excluded.owner_id, role = excluded.role,
                 host = excluded.host, pid = excluded.pid, renewed_us = excluded.renewed_us
               WHERE leases.owner_id = excluded.owner_id OR leases.renewed_us < :stale_us""",
            pod_id=self.pod_id,
            owner_id=self.owner.owner_id,
            role=self.owner.role.value,
            host=self.owner.host,
            pid=self.owner.pid,
            at_us=to_us(self.at),
            stale_us=None if self.stale_before is None else to_us(self.stale_before),
        )
        if not touched:
            raise LedgerRefused(_owned_by(db, self.pod_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRenewed:
    """The owner of a pod is alive. Fails when the pod is no longer its own."""

    survives_power_loss: ClassVar[bool] = False

    pod_id: str
    owner_id: str
    at: datetime

    def apply(self, db: sqlite3.Connection) -> None:
        """Update the lease in place."""
        touched = execute(
            db,
            "UPDATE leases SET renewed_us = :at_us WHERE pod_id = :pod_id AND owner_id = :owner_id",
            pod_id=self.pod_id,
            owner_id=self.owner_id,
            at_us=to_us(self.at),
        )
        if not touched:
            raise LedgerRefused(_owned_by(db, self.pod_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseReleased:
    """A process gives a pod up. Changes nothing when the pod is not its own."""

    survives_power_loss: ClassVar[bool] = False

    pod_id: str
    owner_id: str

    def apply(self, db: sqlite3.Connection) -> None:
        """Delete the lease."""
        execute(
            db,
            "DELETE FROM leases WHERE pod_id = :pod_id AND owner_id = :owner_id",
            pod_id=self.pod_id,
            owner_id=self.owner_id,
        )


def _owned_by(db: sqlite3.Connection, pod_id: str) -> str:
    row = db.execute("SELECT role, pid, host, renewed_us FROM leases WHERE pod_id = ?", (pod_id,)).fetchone()
    if row is None:
        return f"Nobody owns pod {pod_id}: adopt it before renewing its lease."
    role, pid, host, renewed_us = row
    since = from_us(renewed_us).isoformat(timespec="seconds")
    return f"Pod {pod_id} belongs to the {role} with process id {pid} on {host}, last heard of at {since}."


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPosted:
    """A process asks the owner of a pod to do something."""

    survives_power_loss: ClassVar[bool] = False

    pod_id: str
    verb: str
    at: datetime
    args: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))

    def apply(self, db: sqlite3.Connection) -> None:
        """Insert the command."""
        execute(
            db,
            "INSERT INTO commands (pod_id, verb, args, made_us) VALUES (:pod_id, :verb, :args, :at_us)",
            pod_id=self.pod_id,
            verb=self.verb,
            args=json.dumps(dict(self.args)),
            at_us=to_us(self.at),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandTaken:
    """The owner carries a command out. Written before it does, so that no command is carried out twice."""

    survives_power_loss: ClassVar[bool] = False

    command_id: int
    at: datetime

    def apply(self, db: sqlite3.Connection) -> None:
        """Mark the command."""
        touched = execute(
            db,
            "UPDATE commands SET taken_us = :at_us WHERE command_id = :command_id AND taken_us IS NULL",
            command_id=self.command_id,
            at_us=to_us(self.at),
        )
        if not touched:
            raise LedgerRefused(f"Command {self.command_id} was taken by somebody else; leave it.")
