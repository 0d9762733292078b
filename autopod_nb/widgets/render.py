"""Views as text: pure, one line or a few, without colours. The HTML form is in ``card.py``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from autopod_nb.models.failures import recognise_all
from autopod_nb.models.fleet import FleetView
from autopod_nb.models.job import ResultFile
from autopod_nb.models.money import MoneyKind, show_usd
from autopod_nb.models.snapshot import JobView, Notice, PodView, Snapshot
from autopod_nb.widgets import words

_BAR_CELLS = 24
_NOTICES = 5
_JOB_ROWS = 20
_MOST_ERROR = 2_000  # characters of an error in full
_MOST_IN_A_ROW = 240  # and where it stands among others
_MOST_NOTICE = 500


def bar(percent: float | None, cells: int = _BAR_CELLS) -> str:
    """A bar of characters; dots when nothing is known."""
    if percent is None:
        return "·" * cells
    full = round(words.bounded(percent) * cells / 100)
    return "█" * full + "░" * (cells - full)


def job_line(view: JobView) -> str:
    """A job on one line, for lists and for progress that is printed."""
    return " · ".join([f"{words.clean(view.job_id)}: {words.job_state(view)}", *job_parts(view)])


def job_parts(view: JobView, *, warned: bool = True) -> list[str]:
    """What is to be said of a job beside its name and state, in parts; with what is wrong with it, if *warned*."""
    parts = words.doing(view)
    if view.elapsed_s:
        parts.append(f"{'took' if view.over else 'for'} {words.duration(view.elapsed_s)}")
    if view.kind is not None:
        parts.append(show_usd(view.cost_usd, view.kind))
    if view.over:
        parts += [result_line(result) for result in view.results]
    if view.error:
        parts.append(words.clipped(view.error, _MOST_IN_A_ROW))
    elif view.warning and warned:
        parts.append(words.clipped(view.warning, _MOST_IN_A_ROW))
    return parts


def result_line(result: ResultFile) -> str:
    """Where a result lies, and its size."""
    return f"{words.place(result.path)} ({words.size(result.bytes)})"


def failure_lines(view: JobView) -> list[str]:
    """Which node failed, why, and what to do if it is a known failure; the traceback is in the HTML form."""
    lines = [words.clean(view.error)] if view.error else []
    if view.fault is not None:
        fault = view.fault
        node = f"Node {fault.node_id} ({fault.node_type})" if fault.node_id else fault.node_type or "The workflow"
        raised = words.clean(f"{fault.exception_type}: {fault.message}")
        if not any(raised in line for line in lines):
            lines.append(f"{words.clean(node)}: {raised}")
    known = next((failure for failure, _ in recognise_all(lines)), None)
    shown = [words.clipped(line, _MOST_ERROR) for line in lines]
    return shown if known is None else [*shown, str(known)]


def job_text(view: JobView, pod: PodView | None = None) -> str:
    """A job in full, one fact a line."""
    lines = [f"Job {words.clean(view.job_id)} ({words.clean(view.template)}): {words.job_state(view)}"]
    if not view.over:
        lines.append(f"  [{bar(view.progress.percent)}] {' · '.join(words.doing(view))}".rstrip())
    lines.append(f"  {'took' if view.over else 'for'} {words.duration(view.elapsed_s)} · cost {words.cost(view)}")
    if pod is not None and not view.over:
        lines.append(f"  {pod_line(pod)}")
    lines += [f"  {words.clean(result.output)}: {result_line(result)}" for result in view.results]
    lines += [f"  node {words.clean(node)} says: {words.clean(text)}" for node, text in view.texts]
    lines += [f"  error: {line}" for line in failure_lines(view)]
    if view.warning and not view.over:
        lines.append(f"  warning: {words.clean(view.warning)}")
    return "\n".join(lines)


def pod_line(pod: PodView) -> str:
    """A pod on one line."""
    return " · ".join([f"{words.clean(pod.pod_id)}: {words.pod_state(pod)}", *pod_parts(pod)])


def pod_parts(pod: PodView) -> list[str]:
    """What is to be said of a pod beside its name and state, in parts."""
    where = f", {words.clean(pod.where)}" if pod.where else ""
    parts = [f"{words.clean(pod.gpu_type)} × {pod.gpu_count} ({words.clean(pod.provider)}{where})"]
    if not pod.over:
        parts.append(words.price(pod.price_per_hour_usd, pod.kind))
    parts.append(f"{show_usd(pod.cost_usd, pod.kind)} so far")
    if not pod.over:
        parts += [f"up {words.duration(pod.age_s)}", words.gpu_use(pod.gpu_use)]
    if pod.local_port is not None and not pod.over:
        parts.append(f"ComfyUI at http://127.0.0.1:{pod.local_port}")
    if pod.unsaved:
        parts.append(f"{pod.unsaved} job{'s' if pod.unsaved > 1 else ''} with results that are not here yet")
    if pod.armed is not None and not pod.over:
        parts.append("watchdog armed" if pod.armed else "no watchdog")
    parts.append(words.pod_end(pod))
    return [part for part in parts if part]


def money_by_kind(snapshot: Snapshot) -> list[tuple[MoneyKind, str]]:
    """For each kind of money: what runs an hour, spent in the session of which limit; below it today and forecast."""
    limit = f" of ${snapshot.limit_usd:.2f} limit" if snapshot.limit_usd is not None else ""
    prices, found = snapshot.price_per_hour_usd, []
    for kind in sorted({*snapshot.cost_usd, *prices}, key=lambda kind: kind.value):
        now = f" · now {words.price(prices[kind], kind)}" if prices.get(kind) else " · nothing runs"
        first = f"{show_usd(snapshot.cost_usd.get(kind, Decimal(0)), kind)}{limit}{now}"
        found.append((kind, "\n".join([f"Session: {first}", *_today_and_forecast(snapshot, kind)])))
    return found


def fleet_line(fleet: FleetView) -> str:
    """What is wanted of the fleet, and what is expected of it."""
    parts = [f"{fleet.aim}, at most {fleet.max_pods} pod{'' if fleet.max_pods == 1 else 's'}"]
    if fleet.budget_usd is not None:
        parts.append(f"{show_usd(fleet.spent_usd, fleet.kind)} of ${fleet.budget_usd:.2f} budget")
    if fleet.ends_in_s is not None:
        left = f"in {words.duration(fleet.ends_in_s)}" if fleet.ends_in_s > 0 else "passed"
        parts.append(f"deadline {left}")
    if fleet.done_in_s is not None:
        parts.append(
            f"all done in about {words.duration(fleet.done_in_s)}, for about {show_usd(fleet.coming_usd, fleet.kind)}"
        )
    if fleet.stranded:
        parts.append(f"no pod for {fleet.stranded} job{'' if fleet.stranded == 1 else 's'}")
    return " · ".join(parts)


def _today_and_forecast(snapshot: Snapshot, kind: MoneyKind) -> list[str]:
    parts = []
    if (today := snapshot.today_usd.get(kind)) is not None:
        of = f" of ${snapshot.day_limit_usd:.2f} limit" if snapshot.day_limit_usd is not None else ""
        parts.append(f"Today (UTC): {show_usd(today, kind)}{of}")
    forecast = snapshot.forecast_usd.get(kind)
    if forecast is not None and any(not view.over for view in snapshot.jobs.values()):
        least = "" if snapshot.forecast_complete else "at least "
        parts.append(f"At the end of the queue: {least}{show_usd(forecast, kind)}")
    return parts


def money_lines(snapshot: Snapshot) -> list[str]:
    """What the session has cost, of which limit, and what runs an hour: lines for each kind of money."""
    limit = f" of ${snapshot.limit_usd:.2f} limit" if snapshot.limit_usd is not None else ""
    lines = [line.removeprefix("Session: ") for _, text in money_by_kind(snapshot) for line in text.split("\n")]
    return lines or [f"nothing spent yet{limit}"]


def job_counts(views: Iterable[JobView]) -> str:
    """``2 running, 5 queued, 1 done``."""
    counts = Counter(view.state.value for view in views)
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def notice_line(notice: Notice) -> str:
    """A notice with its level."""
    return f"{notice.level.value}: {words.clipped(notice.text, _MOST_NOTICE)}"


def job_rows(views: Iterable[JobView]) -> tuple[list[JobView], str]:
    """Which jobs a list shows: those that are not over, then the newest of the others, and a word about the rest."""
    newest_first = list(views)[::-1]
    ordered = sorted(newest_first, key=lambda view: view.over)
    rest = Counter(view.state.value for view in ordered[_JOB_ROWS:])
    kinds = ", ".join(f"{count} {state}" for state, count in sorted(rest.items()))
    return ordered[:_JOB_ROWS], f"and {sum(rest.values())} more: {kinds}; `%autopod history` has all" if rest else ""


def session_text(snapshot: Snapshot) -> str:
    """Pods, jobs, money and the newest notices."""
    jobs, rest = job_rows(snapshot.jobs.values())
    blocks = [
        ("Pods", [pod_line(pod) for pod in snapshot.pods.values()] or ["none: `%autopod connect` rents one"]),
        ("Jobs", [*(job_line(view) for view in jobs), *([rest] if rest else [])] or ["none"]),
        ("Fleet", [] if snapshot.fleet is None else [fleet_line(snapshot.fleet)]),
        ("Cost", money_lines(snapshot)),
        ("Warnings", [f"{alert.kind.title}: {words.clean(alert.text)}" for alert in snapshot.alerts]),
        ("Guards", [] if snapshot.reaper is None else [f"reaper {'runs' if snapshot.reaper else 'starts'}"]),
        ("Notices", [notice_line(notice) for notice in snapshot.notices[-_NOTICES:]]),
    ]
    return "\n".join("\n  ".join([title, *lines]) for title, lines in blocks if lines)


def pod_text(pod: PodView, snapshot: Snapshot) -> str:
    """One pod: what it is and does, its jobs, what was said of it."""
    about = [pod_line(pod), f"called {words.clean(pod.name)} at {words.clean(pod.provider)}"]
    about += [words.clean(line) for line in (pod.phase, pod.guard, pod.error) if line]
    jobs, rest = job_rows([view for view in snapshot.jobs.values() if view.pod_id == pod.pod_id])
    said = [notice for notice in snapshot.notices if notice.pod_id == pod.pod_id]
    blocks = [
        ("Pod", about),
        ("Jobs", [*(job_line(view) for view in jobs), *([rest] if rest else [])] or ["none"]),
        ("Warnings", [words.clean(alert.text) for alert in snapshot.alerts if alert.pod_id == pod.pod_id]),
        ("Notices", [notice_line(notice) for notice in said[-_NOTICES:]]),
    ]
    return "\n".join("\n  ".join([title, *lines]) for title, lines in blocks if lines)


def still_bills(snapshot: Snapshot) -> str:
    """One line that says what is still paid for and how to end it; empty if nothing is."""
    pods = [pod for pod in snapshot.pods.values() if not pod.over]
    if not pods:
        return ""
    names = ", ".join(f"{pod.pod_id} ({words.price(pod.price_per_hour_usd, pod.kind)})" for pod in pods)
    plural = "s" if len(pods) > 1 else ""
    return f"Pod{plural} {names} may still bill: `%autopod stop` finishes and ends, `%autopod kill` ends at once."
