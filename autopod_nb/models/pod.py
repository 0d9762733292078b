"""A pod: its states, and what a provider says of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from autopod_nb.errors import IllegalTransition


class PodState(str, Enum):
    """Where a pod is in its life, as we see it."""

    PLANNED = "planned"
    REQUESTED = "requested"
    BOOTING = "booting"
    CONNECTING = "connecting"
    READY = "ready"
    BUSY = "busy"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    LOST = "lost"


class PodEvent(str, Enum):
    """What can happen to a pod."""

    INTENT_WRITTEN = "intent written"
    CREATED = "created"
    CREATE_FAILED = "create failed"
    SSH_ADDRESS = "SSH address known"
    COMFY_READY = "ComfyUI answers"
    WORK = "work begins"
    WORK_DONE = "work done"
    DRAIN = "drain"
    STOP = "stop"
    STOPPED = "stopped by the provider"
    START = "start"
    TERMINATE = "terminate"
    TERMINATED = "gone"
    CONTACT_LOST = "contact lost"
    CONTACT_BACK = "contact back"


_S, _E = PodState, PodEvent
_MAY_BILL = (
    _S.REQUESTED, _S.BOOTING, _S.CONNECTING, _S.READY, _S.BUSY, _S.DRAINING, _S.STOPPING, _S.TERMINATING, _S.LOST,
)  # fmt: skip

POD_TABLE: dict[tuple[PodState, PodEvent], PodState] = {
    (_S.PLANNED, _E.INTENT_WRITTEN): _S.REQUESTED,
    (_S.PLANNED, _E.CREATE_FAILED): _S.TERMINATED,
    (_S.REQUESTED, _E.CREATED): _S.BOOTING,
    (_S.REQUESTED, _E.CREATE_FAILED): _S.TERMINATED,
    (_S.BOOTING, _E.SSH_ADDRESS): _S.CONNECTING,
    (_S.CONNECTING, _E.COMFY_READY): _S.READY,
    (_S.READY, _E.WORK): _S.BUSY,
    (_S.BUSY, _E.WORK_DONE): _S.READY,
    (_S.READY, _E.DRAIN): _S.DRAINING,
    (_S.BUSY, _E.DRAIN): _S.DRAINING,
    **{(state, _E.STOP): _S.STOPPING for state in (_S.BOOTING, _S.CONNECTING, _S.READY, _S.BUSY, _S.DRAINING, _S.LOST)},
    (_S.STOPPING, _E.STOPPED): _S.STOPPED,
    (_S.STOPPED, _E.START): _S.BOOTING,
    **{(state, _E.TERMINATE): _S.TERMINATING for state in _S if state not in (_S.TERMINATING, _S.TERMINATED)},
    (_S.TERMINATING, _E.TERMINATED): _S.TERMINATED,
    (_S.LOST, _E.TERMINATED): _S.TERMINATED,
    **{(state, _E.CONTACT_LOST): _S.LOST for state in _MAY_BILL if state not in (_S.TERMINATING, _S.LOST)},
    (_S.LOST, _E.CONTACT_BACK): _S.READY,
}
"""(state, event) → state. A pair that is not here raises and changes nothing."""


def next_pod_state(state: PodState, event: PodEvent) -> PodState:
    """The state after *event*.

    Raises:
        IllegalTransition: the table has no such pair.
    """
    try:
        return POD_TABLE[state, event]
    except KeyError:
        raise IllegalTransition(f"A pod that is {state.value!r} cannot take {event.value!r}.") from None


def may_bill(state: PodState) -> bool:
    """Whether a running pod may be paid for in this state; silence counts as billing. A stopped pod bills storage."""
    return state in _MAY_BILL


def is_over(state: PodState) -> bool:
    """Whether nothing can happen to the pod any more."""
    return state is PodState.TERMINATED


class ObservedState(str, Enum):
    """What a provider says of a pod."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    TERMINATED = "terminated"
    UNKNOWN = "unknown"


class BootPhase(str, Enum):
    """What a pod does until it can work, in order."""

    RENTED = "rented"
    PULLING = "pulling its image"
    CONTAINER = "its container starts"
    SSH = "opening SSH"
    COMFYUI = "waiting for ComfyUI"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAddress:
    """How to reach a pod and where things are on it.

    Attributes:
        host: SSH host name or address.
        port: SSH port.
        user: SSH user.
        comfyui_port: where ComfyUI listens on the pod's own loopback; 0 as long as nobody has looked.
        comfyui_dir: absolute path of the folder that holds ``input`` and ``output``; empty likewise.
        environ_path: file with the pod's variables, NUL-separated, as in ``/proc/1/environ``.
        host_key_sha256: expected fingerprint ``SHA256:…`` of the SSH server, None if the provider cannot tell.
    """

    host: str
    port: int
    user: str
    comfyui_port: int
    comfyui_dir: str
    environ_path: str
    host_key_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRecord:
    """A provider's view of one pod.

    Attributes:
        provider_id: the provider's own id.
        name: the unique name that we gave it.
        state: what the provider says.
        address: None as long as it has none.
        detail: the provider's words about it, for a person.
        price_per_hour_usd: what it costs just now by the provider's own word; None if that is not said.
        gpu: its GPUs for a person, empty if that is not said.
        host_id: the machine that it is on, empty if that is not said.
        created: when it was rented, UTC; None if that is not said.
        phase: what it does while it boots; None if that cannot be told, or if it is up.
        hopeless: it will never come up, as the detail says, though the provider goes on trying, and bills.
    """

    provider_id: str
    name: str
    state: ObservedState
    address: PodAddress | None = None
    detail: str = ""
    price_per_hour_usd: Decimal | None = None
    gpu: str = ""
    host_id: str = ""
    created: datetime | None = None
    hopeless: bool = False
    phase: BootPhase | None = None
