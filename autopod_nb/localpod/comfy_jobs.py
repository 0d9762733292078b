"""`/api/jobs`: queue and history in one list, with plain words for the states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from .prompt_queue import Entry, PromptQueue

STATES = ("pending", "in_progress", "completed", "failed", "cancelled")
_NOT_RESULTS = frozenset({"animated"})


class JobRoutes:
    """The routes; these exist with the prefix only."""

    def __init__(self, queue: PromptQueue) -> None:
        self._queue = queue

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/api/jobs", self._list), web.get("/api/jobs/{job_id}", self._one)]

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            states = _states(query.get("status"))
            limit, offset = _number(query.get("limit"), "limit"), _number(query.get("offset"), "offset") or 0
            by = _choice(query.get("sort_by", "created_at"), "sort_by", ("created_at", "execution_duration"))
            order = _choice(query.get("sort_order", "desc"), "sort_order", ("asc", "desc"))
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        jobs = [job for job in self._jobs() if job["status"] in states]
        workflow_id = query.get("workflow_id")
        if workflow_id is not None:
            jobs = [job for job in jobs if job.get("workflow_id") == workflow_id]
        jobs.sort(key=_created if by == "created_at" else _duration, reverse=order == "desc")
        page = jobs[offset : None if limit is None else offset + limit]
        more = offset + len(page) < len(jobs)
        pagination = {"offset": offset, "limit": limit, "total": len(jobs), "has_more": more}
        return web.json_response({"jobs": page, "pagination": pagination})

    async def _one(self, request: web.Request) -> web.Response:
        job_id = request.match_info["job_id"]
        past = self._queue.past(job_id)
        if past is not None:
            return web.json_response(_ended(past) | _details(past))
        running, waiting = self._queue.snapshot()
        for state, entries in (("in_progress", running), ("pending", waiting)):
            for entry in entries:
                if entry.prompt_id == job_id:
                    return web.json_response(_unended(entry, state))
        return web.json_response({"error": "Job not found"}, status=404)

    def _jobs(self) -> list[dict[str, Any]]:
        running, waiting = self._queue.snapshot()
        jobs = [_unended(entry, "in_progress") for entry in running] + [_unended(entry, "pending") for entry in waiting]
        return jobs + [_ended(past) for past in self._queue.history().values()]


def _states(text: str | None) -> tuple[str, ...]:
    if text is None:
        return STATES
    states = tuple(state.strip().lower() for state in text.split(",") if state.strip())
    wrong = [state for state in states if state not in STATES]
    if wrong:
        raise ValueError(f"Invalid status value(s): {', '.join(wrong)}. Valid values: {', '.join(STATES)}")
    return states


def _number(text: str | None, name: str) -> int | None:
    """Return `limit` or `offset`; an offset below zero counts as zero."""
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{name} must be an integer") from None
    if name == "limit" and number <= 0:
        raise ValueError("limit must be a positive integer")
    return max(number, 0)


def _choice(text: str, name: str, choices: tuple[str, str]) -> str:
    if text.lower() not in choices:
        words = " or ".join(f"'{choice}'" for choice in choices)
        raise ValueError(f"{name} must be {words}")
    return text.lower()


def _created(job: Mapping[str, Any]) -> int:
    return int(job.get("create_time") or 0)


def _duration(job: Mapping[str, Any]) -> int:
    return int(job.get("execution_end_time") or 0) - int(job.get("execution_start_time") or 0)


def _common(number: float, prompt_id: str, extra_data: Mapping[str, Any], state: str) -> dict[str, Any]:
    """Return what every job shows; absent fields are left out later."""
    info = extra_data.get("extra_pnginfo") or {}
    return {
        "id": prompt_id,
        "status": state,
        "priority": number,
        "create_time": extra_data.get("create_time"),
        "outputs_count": 0,
        "workflow_id": (info.get("workflow") or {}).get("id"),
    }


def _unended(entry: Entry, state: str) -> dict[str, Any]:
    return _without_nones(_common(entry.number, entry.prompt_id, entry.extra_data, state))


def _ended(past: Mapping[str, Any]) -> dict[str, Any]:
    number, prompt_id, _, extra_data, _ = past["prompt"]
    messages = past["status"]["messages"]
    times = {event: data["timestamp"] for event, data in messages}
    last, data = messages[-1] if messages else ("", {})
    results = _results(past["outputs"])
    state = {"execution_success": "completed", "execution_interrupted": "cancelled"}.get(last, "failed")
    return _without_nones(
        _common(number, prompt_id, extra_data, state)
        | {
            "execution_start_time": times.get("execution_start"),
            "execution_end_time": data.get("timestamp"),
            "execution_error": data if last == "execution_error" else None,
            "outputs_count": len(results),
            "preview_output": _shown(results),
        }
    )


def _details(past: Mapping[str, Any]) -> dict[str, Any]:
    _, _, graph, extra_data, _ = past["prompt"]
    workflow = {"prompt": graph, "extra_data": extra_data}
    return {"outputs": past["outputs"], "execution_status": past["status"], "workflow": workflow}


def _results(outputs: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return every result of a job, texts too, each with its node and key."""
    return [
        (item if isinstance(item, dict) else {}) | {"nodeId": node_id, "mediaType": key}
        for node_id, shown in outputs.items()
        for key, items in shown.items()
        if key not in _NOT_RESULTS and isinstance(items, list)
        for item in items
    ]


def _shown(results: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the file that stands for a job: the first one that was to be kept, else the first."""
    files = [result for result in results if "filename" in result]
    return next((file for file in files if file.get("type") == "output"), files[0] if files else None)


def _without_nones(job: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in job.items() if value is not None}
