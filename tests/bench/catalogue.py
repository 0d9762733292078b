"""All rows of the benchmark, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.bench import (
    bill_drift,
    event_to_snapshot,
    fleet_rows,
    history_100k,
    job_overhead,
    kernel_memory,
    kill_on_wire,
    load_ext,
    orphan_seconds,
    overshoot,
    panel_bytes,
    panel_clicks,
    panel_events,
    panel_first,
    panel_growth,
    pipeline,
    pipeline_sweep,
    pods50,
    restart_adopted,
    transfer,
    tunnel,
)
from tests.bench.panel_room import Room
from tests.bench.run import Row

Bench = Callable[[], Row]

_CORE: Mapping[str, Bench] = {
    "load_ext_ms": load_ext.measure,
    "job_overhead_ratio": job_overhead.measure,
    "event_to_snapshot_p99_ms": event_to_snapshot.measure,
    "kernel_mb_after_1000_jobs": kernel_memory.measure,
    "restart_to_adopted_s": restart_adopted.measure,
    "history_100k_s": history_100k.measure,
    "kill_on_wire_ms": kill_on_wire.measure,
    "overshoot_usd": overshoot.measure,
    "bill_drift_percent": bill_drift.measure,
    "orphan_seconds_worst": orphan_seconds.measure,
}
_LINE: Mapping[str, Bench] = {
    "upload_big_vs_scp_0ms": transfer.big_0ms,
    "upload_big_vs_scp_40ms": transfer.big_40ms,
    "upload_many_vs_scp_40ms": transfer.many_40ms,
    "same_inputs_again_bytes": transfer.again,
    "tunnel_vs_ssh_forward": tunnel.with_delay,
    "tunnel_mib_per_s_0ms": tunnel.without_delay,
    "gap_over_server_ms": pipeline.gap,
    "naive_gap_ms": pipeline.naive,
    "sweep200_vs_direct": pipeline_sweep.sweep,
}
_MANY: Mapping[str, Bench] = {
    "pods50_cpu_cores": pods50.cpu,
    "pods50_event_p99_ms": pods50.delay,
    "pods50_mb_per_pod": pods50.memory,
    "cell_answer_ms_with_50_pods": pods50.answer,
    "pods50_stop_s": pods50.stop,
    "fleet_cost_vs_bound": fleet_rows.cost_vs_bound,
    "idle_billed_share": fleet_rows.idle_share,
    "fleet_vs_pod_per_job": fleet_rows.vs_pod_per_job,
    "fleet_vs_one_pod": fleet_rows.vs_one_pod,
    "fleet_vs_round_robin": fleet_rows.vs_round_robin,
    "fleet_arrivals_vs_break_even": fleet_rows.arrivals_vs_break_even,
}


def benches(room: Room) -> dict[str, Bench]:
    """By name. Those with a browser come last, for it takes the thread to itself."""
    panels: Mapping[str, Bench] = {
        "panel_first_ms": lambda: panel_first.measure(room),
        "click_taken_idle_ms": lambda: panel_clicks.measure_idle(room),
        "click_taken_busy_ms": lambda: panel_clicks.measure_busy(room),
        "event_to_screen_p95_ms": lambda: panel_events.measure(room),
        "idle_bytes_per_s": lambda: panel_bytes.measure_idle(room),
        "job_bytes_per_s": lambda: panel_bytes.measure_job(room),
        "notebook_growth_kb": lambda: panel_growth.measure(room),
    }
    return {**_CORE, **_LINE, **_MANY, **panels}
