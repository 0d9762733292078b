"""How long a pod is nobody's after its owner was killed: the worst of several moments."""

from __future__ import annotations

from tests.bench.rented import a_home, a_service
from tests.bench.run import Row, row
from tests.session.rented_orphans import Orphans
from tests.session.rented_owner import MOMENTS

_CREATE = "POST /v2/pods"
_DELETE = "DELETE /v2/pods/{id}"


def measure(moments: tuple[str, ...] = MOMENTS) -> Row:
    """Service seconds from ``kill -9`` of the owner until the reaper owns the pod, or its bill has ended."""
    seconds: dict[str, float] = {}
    with a_service() as (service, folder):
        for moment in moments:
            with a_home(service, folder / moment) as home:
                seconds[moment] = _orphan(home, moment)
    worst = max(seconds, key=lambda each: seconds[each])
    note = ", ".join(f"{moment} {found:.0f}" for moment, found in seconds.items())
    return row("orphan_seconds_worst", seconds[worst], "s", 60, f"{note}; time runs six times as fast as real")


def _orphan(home: Orphans, moment: str) -> float:
    if moment == "requested":
        home.service.arm("hang_after", _CREATE, seconds=35)
    elif moment == "booting":
        home.service.set(pull_delay_s=60.0)
    elif moment == "terminating":
        home.service.arm("error_500", _DELETE, times=6)
    home.own(moment)
    home.follow(lambda: bool(home.bills()))
    home.kill_owner()
    killed_s = home.now_s
    home.follow(lambda: home.is_owned_by_reaper() or not home.is_billed())
    took_s = home.now_s - killed_s
    if home.out.is_file():
        home.out.unlink()
    home.follow(lambda: not home.is_billed())
    return took_s
