"""The faults that a test may arm: what they are, where they strike, and how many times are left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Stage(Enum):
    """Where a fault strikes."""

    BEFORE = "instead of acting"
    AFTER = "instead of the answer, after acting"
    EVENT = "something that the platform does by itself, just before it acts"
    PLACE = "a create or a start that is refused"
    BORN = "a pod that is created is different"
    READ = "what a read of a pod shows"
    LIST = "a page of a list"


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault: where it strikes and the section of the facts that it comes from."""

    stage: Stage
    section: str
    does: str


KINDS = {
    "error_500": Kind(Stage.BEFORE, "3.2", "500 without acting"),
    "html_502": Kind(Stage.BEFORE, "1.3, 7.3", "a page of HTML with 502"),
    "cloudflare_1010": Kind(Stage.BEFORE, "1.3, 5", "403 and HTML, error code: 1010"),
    "cut_before": Kind(Stage.BEFORE, "1.3", "the connection is cut and nothing was done"),
    "hang_before": Kind(Stage.BEFORE, "1.3", "no answer for a while, then it acts"),
    "rate_limited": Kind(Stage.BEFORE, "3.2", "429 with Retry-After"),
    "unauthorized": Kind(Stage.BEFORE, "1.3, 7.3", "401"),
    "forbidden": Kind(Stage.BEFORE, "3.2", "403, the key lacks access"),
    "opaque_error": Kind(Stage.BEFORE, "4.7", "something went wrong, nothing was done"),
    "null_data": Kind(Stage.BEFORE, "1.3", "GraphQL: data null without errors"),
    "cut_after": Kind(Stage.AFTER, "1.3, 7.2", "it acted, and the connection is cut"),
    "error_500_after": Kind(Stage.AFTER, "5, 7.2", "it acted, and answers 500"),
    "html_502_after": Kind(Stage.AFTER, "1.3", "it acted, and answers HTML with 502"),
    "hang_after": Kind(Stage.AFTER, "1.3, 7.2", "it acted, and answers after a while"),
    "opaque_error_after": Kind(Stage.AFTER, "4.7", "it acted, and says that something went wrong"),
    "vanish": Kind(Stage.EVENT, "5", "a pod is gone"),
    "port_change": Kind(Stage.EVENT, "4.3", "a pod's public port is another one"),
    "evict": Kind(Stage.EVENT, "7.2", "a spot pod is outbid"),
    "lock": Kind(Stage.EVENT, "4.8", "a pod is locked and refuses to stop"),
    "no_capacity": Kind(Stage.PLACE, "3.2, 4.7", "no instances"),
    "no_capacity_disk": Kind(Stage.PLACE, "4.7", "no instances with enough disk"),
    "no_capacity_machine": Kind(Stage.PLACE, "4.7", "not on that machine"),
    "no_balance": Kind(Stage.PLACE, "3.2", "402"),
    "pool_forbidden": Kind(Stage.PLACE, "3.2", "403, not in that pool"),
    "start_refused": Kind(Stage.PLACE, "4.7, 4.8", "no free GPU on the machine of a stopped pod"),
    "never_boots": Kind(Stage.BORN, "5", "rented, and the container never comes up"),
    "ports_never": Kind(Stage.BORN, "7.2", "up, and its ports stay empty for ever"),
    "running_without_runtime": Kind(Stage.BORN, "3.3", "RUNNING with runtime null while the image is still pulled"),
    "image_hangs": Kind(Stage.BORN, "4.7", "the image cannot be had, for ever"),
    "image_exits": Kind(Stage.BORN, "4.7", "the image cannot be had, and the pod exits by itself"),
    "late_in_lists": Kind(Stage.BORN, "4.7", "in no list for a while"),
    "runtime_null": Kind(Stage.READ, "2.3, 7.2", "runtime null although it runs"),
    "flapping_status": Kind(Stage.READ, "7.3", "EXITED although it runs"),
    "cost_zero": Kind(Stage.READ, "2.3", "the price of a running pod is 0"),
    "list_empty": Kind(Stage.LIST, "5", "complete, and empty"),
    "list_omits": Kind(Stage.LIST, "7.3", "complete, but for one pod"),
    "list_without_pagination": Kind(Stage.LIST, "3.2, 7.3", "no pagination block"),
    "list_inconsistent": Kind(Stage.LIST, "3.2", "a next page is promised and has no cursor"),
    "list_repeats_cursor": Kind(Stage.LIST, "7.3", "the next cursor is that of this page"),
    "list_shifts": Kind(Stage.LIST, "5, 7.3", "the page repeats the last pod of the one before"),
}


@dataclass(slots=True, kw_only=True)
class Armed:
    """A fault that waits for its turn.

    Attributes:
        route: ``POST /v2/pods`` or the name of a GraphQL operation; None: any.
        pod: id that it is meant for; None: any.
        seconds: how long, where the fault takes a while.
    """

    fault: str
    route: str | None = None
    times: int = 1
    pod: str | None = None
    seconds: float | None = None

    def fits(self, stage: Stage, routes: Iterable[str], pods: Iterable[str]) -> bool:
        return (
            self.times > 0
            and KINDS[self.fault].stage is stage
            and (self.route is None or self.route in routes)
            and (self.pod is None or self.pod in pods)
        )


class Faults:
    """All that are armed, in the order of arming."""

    def __init__(self) -> None:
        self.armed: list[Armed] = []

    def arm(self, wish: dict[str, object]) -> None:
        """Add one as a test asks for it.

        Raises:
            ValueError: there is no such fault, or the wish has something else in it.
        """
        if wish.get("fault") not in KINDS:
            raise ValueError(f"there is no fault {wish.get('fault')!r}; there are: {', '.join(KINDS)}")
        try:
            self.armed.append(Armed(**wish))  # type: ignore[arg-type] # JSON of a test; a wrong name raises
        except TypeError as error:
            raise ValueError(str(error)) from error

    def take(self, stage: Stage, routes: Iterable[str], pods: Iterable[str] = ()) -> Armed | None:
        """The first fault that fits; it has one time less."""
        routes, pods = tuple(routes), tuple(pods)
        for each in self.armed:
            if each.fits(stage, routes, pods):
                each.times -= 1
                return each
        return None

    def take_all(self, stage: Stage, routes: Iterable[str], pods: Iterable[str] = ()) -> list[Armed]:
        """Every fault that fits, once each."""
        routes, pods = tuple(routes), tuple(pods)
        found = [each for each in self.armed if each.fits(stage, routes, pods)]
        for each in found:
            each.times -= 1
        return found
