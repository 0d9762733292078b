"""Whatever becomes of the process that follows a job: the next one delivers it, once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from autopod_nb.models.job import JobState
from autopod_nb.storage.ledger import Ledger
from tests.fakes.relay import clock_s
from tests.session.delivery import JOB_S, STEPS, Chance, Delivery, Figures, faulty_lines, pause
from tests.session.delivery_others import Other
from tests.session.delivery_wave import judge
from tests.session.live import Live
from tests.session.stall import StallWatch

pytestmark = pytest.mark.faults

AT_ONCE = 4


@pytest.mark.parametrize("repeats", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_f_the_kernel_is_killed_and_a_new_one_adopts(open_live: Callable[..., Live], repeats: int) -> None:
    """At any moment of the job: while its photograph goes up, while it is posted, rendered or fetched."""

    def kernel_killed(number: int) -> Figures:
        chance = Chance(f"kernel-killed-{repeats}", number)
        live = open_live(provider=faulty_lines)
        kernel = Other("delivery_owner", live.folder, STEPS, chance.randrange(1 << 30))
        pause(chance.uniform(0.0, JOB_S + 1.0) if number % 4 else 0.0)
        kernel.kill()
        adopted, _ = live.session.adopt()
        back_s = clock_s()
        assert adopted == [kernel.told["pod_id"]]
        at = Delivery(live, kernel.told["pod_id"], stalls)
        done = [row for row in Ledger(live.session.ledger_path).read_jobs() if row.state is JobState.DONE]
        figures = Figures(late_s=0.0)
        if not done:
            _, figures = at.until_done(live.session.job("kept"), back_s=back_s)
        assert at.in_all() == (1, 1)
        assert [path.name for path in live.out.iterdir()] == ["kept.png"]
        live.close()
        return figures

    with closing(StallWatch()) as stalls, ThreadPoolExecutor(AT_ONCE) as pool:
        figures = list(pool.map(kernel_killed, range(repeats)))
    judge("kernel-killed", figures)
