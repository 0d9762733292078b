"""Views as HTML: pure, escaped, no scripts.

It follows JupyterLab's light and dark theme through its variables, wraps at any width from 320 px, says every state
in words, and names its parts for a screen reader. The same cards stand in live panels and in saved notebooks.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from html import escape

from autopod_nb.models.job import JobState, ResultFile
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Alert, JobView, Level, Notice, PodView, Snapshot
from autopod_nb.widgets import gauge, render, words
from autopod_nb.widgets.safe import label as label  # noqa: PLC0414 - cards are where everybody looks for it
from autopod_nb.widgets.safe import safe as safe  # noqa: PLC0414 - the same

OK = "var(--jp-success-color1, #2e7d32)"
BAD = "var(--jp-error-color1, #d32f2f)"
WARN = "var(--jp-warn-color0, #b26a00)"  # the next lighter one cannot be read on white
ACTIVE = "var(--jp-brand-color1, #1976d2)"
QUIET = "var(--jp-ui-font-color2, #616161)"
_CARD = (
    "border:1px solid var(--jp-border-color2,#bdbdbd);border-radius:4px;padding:8px 12px;margin:2px 0;"
    "box-sizing:border-box;overflow-wrap:anywhere;font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);"
    "color:var(--jp-ui-font-color1,inherit)"
)
_WIDTH_PX = 720
_PRE = "white-space:pre-wrap;overflow:auto;max-height:240px;margin:4px 0;font-size:12px"
_NOTICES = 5
_MAX_TRACEBACK_LINES = 200
JOB_COLOURS = {JobState.DONE: OK, JobState.FAILED: BAD, JobState.CANCELLED: WARN}
POD_COLOURS = {PodState.READY: OK, PodState.LOST: BAD, PodState.TERMINATED: QUIET, PodState.STOPPED: WARN}
LEVEL_COLOURS = {Level.INFO: QUIET, Level.WARNING: WARN, Level.ERROR: BAD}


def badge(text: str, colour: str) -> str:
    """A state: a dot and a word."""
    return f'<span style="color:{colour};font-weight:600">● {safe(text)}</span>'


def text_line(text: str, colour: str = "inherit") -> str:
    """A line of its own."""
    return f'<div style="color:{colour}">{safe(text)}</div>'


def section(name: str, parts: Iterable[str], *, width_px: int = _WIDTH_PX) -> str:
    """A card around parts that are HTML already; *name* is for a screen reader, the width the most that it takes."""
    body = "".join(part for part in parts if part)
    style = f"{_CARD};max-width:{width_px}px"
    return f'<section class="autopod-card" aria-label="{label(name)}" style="{style}">{body}</section>'


def bar(percent: float | None, name: str) -> str:
    """A progress bar; without a value when nothing is known."""
    value = words.bounded(percent)
    now = "" if percent is None else f' aria-valuenow="{value:.0f}"'
    return (
        f'<div role="progressbar" aria-label="{label(name)}" aria-valuemin="0" aria-valuemax="100"{now} '
        'style="height:8px;border-radius:4px;margin:4px 0;overflow:hidden;background:var(--jp-layout-color3,#e0e0e0)">'
        f'<div style="height:100%;width:{value:.1f}%;background:{ACTIVE}"></div></div>'
    )


def job_head(view: JobView) -> str:
    """Name, template and state of a job, on one line."""
    state = badge(words.job_state(view), JOB_COLOURS.get(view.state, ACTIVE))
    return f'<div><b>{safe(view.job_id)}</b> <span style="color:{QUIET}">{safe(view.template)}</span> {state}</div>'


def job_facts(view: JobView, pod: PodView | None = None) -> str:
    """What a job takes and costs, its warning, its failure and where its results lie."""
    took = "Took" if view.over else "Elapsed"
    parts = [text_line(f"{took} {words.duration(view.elapsed_s)} · cost {words.cost(view)}")]
    if pod is not None and not view.over:
        parts.append(text_line(f"Pod {render.pod_line(pod)}", QUIET))
    if view.warning and not view.over:
        parts.append(f'<div role="status">{text_line("Warning: " + view.warning, WARN)}</div>')
    parts += [_result(result) for result in view.results]
    parts += [_shown_text(node, text) for node, text in view.texts]
    parts.append(_failure(view))
    return "".join(parts)


def _result(result: ResultFile) -> str:
    path, bytes_ = safe(words.place(result.path)), words.size(result.bytes)
    return f"<div>{safe(result.output)}: <code>{path}</code> ({bytes_})</div>"


def _shown_text(node_id: str, text: str) -> str:
    return f'<div>Node {safe(node_id)} says:</div><pre style="{_PRE}">{escape(words.clean_lines(text))}</pre>'


def _failure(view: JobView) -> str:
    lines = render.failure_lines(view)
    if not lines:
        return ""
    text = "".join(text_line(line, BAD) for line in lines)
    traceback = view.fault.traceback[-_MAX_TRACEBACK_LINES:] if view.fault is not None else ()
    if not traceback:
        return f'<div role="alert">{text}</div>'
    body = escape(words.clean_lines("".join(line if line.endswith("\n") else f"{line}\n" for line in traceback)))
    return (
        f'<div role="alert">{text}</div><details><summary>Traceback</summary><pre style="{_PRE}">{body}</pre></details>'
    )


def job_html(view: JobView, pod: PodView | None = None, *, media: str = "", after: str = "") -> str:
    """A job in full.

    Args:
        view: the job.
        pod: where it runs, for its price.
        media: HTML that shows the results, from :mod:`autopod_nb.widgets.media`.
        after: HTML below all, such as a button.
    """
    doing = words.doing(view)
    progress = "" if view.over else bar(view.progress.percent, f"Progress of {view.job_id}")
    parts = [
        job_head(view),
        progress,
        text_line(" · ".join(doing)) if doing else "",
        job_facts(view, pod),
        media,
        after,
    ]
    return section(f"Job {view.job_id}", parts)


def pod_html(pod: PodView, job: JobView | None = None) -> str:
    """A pod: name, state, price, cost, what it works on, and what will end it.

    Args:
        pod: the pod.
        job: the one that it works on, None if it works on none.
    """
    colour = BAD if pod.state is PodState.LOST else POD_COLOURS.get(pod.state, ACTIVE)
    head = f"<div><b>{safe(pod.pod_id)}</b> {badge(words.pod_state(pod), colour)}{_working_on(pod, job)}</div>"
    return head + text_line(" · ".join(render.pod_parts(pod)), QUIET)


def _working_on(pod: PodView, job: JobView | None) -> str:
    if job is None or pod.over:
        return ""
    doing = words.percent(job.progress) if job.state is JobState.RUNNING else words.job_state(job)
    return f" {safe(f'· {job.job_id}: {doing}')}"


def alert_html(alert: Alert) -> str:
    """A warning in words; what to do is in its text and its buttons."""
    role = "alert" if alert.level is Level.ERROR else "status"
    head, colour = f"{alert.kind.title}:", LEVEL_COLOURS[alert.level]
    return f'<div role="{role}"><b style="color:{colour}">{safe(head)}</b> {safe(alert.text)}</div>'


def job_row(view: JobView) -> str:
    """A job among others: on one line, with its bar. Its warnings have cards of their own."""
    state = badge(words.job_state(view), JOB_COLOURS.get(view.state, ACTIVE))
    line = " · ".join(["", *(safe(part) for part in render.job_parts(view, warned=False))])
    progress = "" if view.over else bar(view.progress.percent, f"Progress of {view.job_id}")
    return f"<div><b>{safe(view.job_id)}</b> {state}{line}{progress}</div>"


def jobs_html(views: Iterable[JobView]) -> str:
    """Jobs as a list, those that are not over first, then the newest."""
    shown, rest = render.job_rows(views)
    rows = "".join(f"<li>{job_row(view)}</li>" for view in shown) + (f"<li>{safe(rest)}</li>" if rest else "")
    return f'<ul aria-label="Jobs" style="list-style:none;padding:0;margin:4px 0">{rows}</ul>' if rows else ""


def money_html(snapshot: Snapshot, *, drawn: bool = True) -> str:
    """What runs costs, what was spent, what is to come: lines for each kind of money, never added.

    Args:
        snapshot: of the session.
        drawn: with a gauge. Of a drawing in a notebook of somebody else JupyterLab leaves only the words.
    """
    money = "".join(
        _money(snapshot, kind, line, drawn=drawn) for kind, line in render.money_by_kind(snapshot)
    ) or "".join(text_line(f"Session: {line}") for line in render.money_lines(snapshot))
    return money + ("" if snapshot.fleet is None else text_line(f"Fleet: {render.fleet_line(snapshot.fleet)}"))


def _money(snapshot: Snapshot, kind: MoneyKind, line: str, *, drawn: bool) -> str:
    spent, limit = snapshot.cost_usd.get(kind, Decimal(0)), snapshot.limit_usd
    dial = gauge.gauge_svg(spent, limit, kind, name="session") if drawn and limit is not None and limit > 0 else ""
    parts = "".join(text_line(part) for part in line.split("\n"))
    return f'<div style="display:flex;flex-wrap:wrap;gap:4px 16px;align-items:center">{dial}<div>{parts}</div></div>'


def notices_html(notices: Iterable[Notice]) -> str:
    """The newest notices, newest last."""
    lines = "".join(text_line(render.notice_line(n), LEVEL_COLOURS[n.level]) for n in list(notices)[-_NOTICES:])
    return f'<div role="log" aria-label="Notices">{lines}</div>' if lines else ""


def session_html(snapshot: Snapshot) -> str:
    """Pods, jobs, money and notices."""
    pods = [pod_html(pod, snapshot.jobs.get(pod.job_id or "")) for pod in snapshot.pods.values()]
    pods = pods or [text_line("No pod: `%autopod connect` rents one.")]
    alerts = "".join(map(alert_html, snapshot.alerts))
    parts = [
        money_html(snapshot, drawn=False),
        alerts,
        *pods,
        jobs_html(snapshot.jobs.values()),
        notices_html(snapshot.notices),
    ]
    return section("autopod session", parts)


def message_html(text: str, *, bad: bool = False) -> str:
    """A line for the person, such as the answer to a button."""
    return f'<div role="status">{text_line(text, BAD if bad else WARN)}</div>' if text else ""


def again_button(job_id: str, instance: str) -> str:
    """A button in a card that is no widget. It is hidden until a panel's line has found the kernel that it belongs to.

    Hidden twice: JupyterLab drops the attribute from notebooks of somebody else, and keeps the style.

    Args:
        job_id: is run again.
        instance: of the kernel's control server; no secret.
    """
    style = (
        "display:none;padding:2px 10px;color:var(--jp-ui-font-color1,inherit);background:var(--jp-layout-color2,#eee);"
        "border:1px solid var(--jp-border-color1,#757575);border-radius:2px;font:inherit;cursor:pointer"
    )
    data = f'data-autopod="{label(instance)}" data-act="again" data-target="{label(job_id)}"'
    return (
        f'<div><button type="button" hidden {data} style="{style}">Run again</button><span role="status"></span></div>'
    )


def saved_note() -> str:
    """What to do where only the saved state of a live panel is left."""
    text = "The state when this was shown. `%autopod panel` brings the live panel back; after a kernel restart, first"
    return text_line(f"{text} `%load_ext autopod_nb` and `%autopod adopt`.", QUIET)
