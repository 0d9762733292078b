"""What a test may set about the service, and the refusals that it speaks in."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class Settings:
    """Delays are seconds of service time.

    Attributes:
        provision_s: how long a new pod is PROVISIONING before it is STARTING (4.7).
        pull_delay_s: from the rental until the container is up: image pull and boot (4.7).
        start_delay_s: the same for a start after a stop.
        list_lag_s: how long a new pod is in no list (4.7).
        stale_runtime_s: how long a stopped pod still shows runtime and ports (2.3, 4.7).
        terminated_shown_s: how long a terminated pod is still shown as TERMINATED (4.7).
        billing_lag_hours: how many of the newest hours have no billing rows yet; 0 shows the current hour (7.3).
        pod_key_rights: what the key inside a pod may do (4.6): ``own`` act on its own pod, ``read`` only read it,
            ``none`` nothing.
        key_revoked: the account's key is not valid any more (7.3).
        spend_limit_usd: an account's highest spend per hour (4.8).
        rate_per_minute: requests to REST v2 that are let through (3.2); the made-up default is out of the way.
        rate_per_hour: the same for an hour.
        latency_s: every answer waits so long (7.3).
        clock_skew_s: is added to every time that the service tells (7.3).
        missing_image: what a pod with a bad image does (4.7): ``hang``, or ``exit`` by itself without a reason.
        real_pods: whether a pod is a program with an SSH server, or only a row.
        forbidden_clouds: pools that this account may not use (3.2: 403).
        page_size: highest and default length of a page of pods (3.2).
    """

    provision_s: float = 0.5
    pull_delay_s: float = 2.0
    start_delay_s: float = 1.0
    list_lag_s: float = 0.0
    stale_runtime_s: float = 2.0
    terminated_shown_s: float = 0.0
    billing_lag_hours: int = 1
    pod_key_rights: str = "own"
    key_revoked: bool = False
    spend_limit_usd: float = 80.0
    rate_per_minute: int = 6000
    rate_per_hour: int = 300_000
    latency_s: float = 0.0
    clock_skew_s: float = 0.0
    missing_image: str = "hang"
    real_pods: bool = True
    forbidden_clouds: list[str] = field(default_factory=list)
    page_size: int = 1000

    def change(self, changes: dict[str, object]) -> None:
        """Set some of them.

        Raises:
            ValueError: there is no such setting. Nothing was set.
            TypeError: it is of another type. Nothing was set.
        """
        known = {each.name: getattr(self, each.name) for each in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"there is no setting {name!r}; there are: {', '.join(known)}")
            wanted = type(known[name])
            if not isinstance(value, (int, float) if wanted is float else wanted):
                raise TypeError(f"{name} must be of type {wanted.__name__}, not {value!r}")
        for name, value in changes.items():
            setattr(self, name, value)


class RefusedError(Exception):
    """The service does not do that.

    Args:
        status: of REST v2 (3.2).
        detail: its only explanation, and the message of GraphQL where that has no other.
        code: ``extensions.code`` of GraphQL (2.3, 4.7).
        message: of GraphQL, where it differs.
    """

    def __init__(self, status: int, detail: str, *, code: str = "RUNPOD", message: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.message = message or detail
        self.errors: tuple[str, ...] = ()
