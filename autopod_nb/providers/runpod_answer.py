"""An answer of RunPod, whatever it is: JSON, problem+json, a page of somebody in between, or nothing. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from autopod_nb import log
from autopod_nb.errors import ProviderError
from autopod_nb.providers.runpod_limits import retry_after_s

_SHOWN = 300  # characters of the service's words that go into an error


@dataclass(frozen=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: of HTTP.
        headers: case does not matter.
        body: all of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> dict[str, Any] | None:
        """The JSON object in the body, numbers exact; None if it is something else."""
        try:
            found = json.loads(self.body, parse_float=Decimal)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def is_of_runpod(self) -> bool:
        """Whether the service itself said so, and not a proxy with a page or a redirect: a 404 is believed then."""
        if 300 <= self.status < 400:
            return False
        is_marked_empty = not self.body.strip() and (self.status == 204 or "x-request-id" in self.headers)
        return is_marked_empty or self.json is not None

    @property
    def detail(self) -> str:
        """The service's words, in one line without anything secret; empty if there are none."""
        found = self.json or {}
        parts = [str(found[key]) for key in ("detail", "message", "error", "title") if isinstance(found.get(key), str)]
        errors = found.get("errors")
        more = (
            [str(each.get("message", each) if isinstance(each, dict) else each) for each in errors or ()]
            if (isinstance(errors, list))
            else []
        )
        text = parts[0] if parts else ""
        extra = "; ".join(each for each in more if each not in text)
        words = log.redact(" ".join(f"{text} {extra}".split()))[:_SHOWN]
        return words.rstrip(".") if words.isprintable() else ""

    @property
    def words(self) -> str:
        """Status and detail for a person: ``502 (no JSON)``."""
        told = self.detail or ("" if self.is_of_runpod else "not RunPod's own words")
        return f"{self.status} {told}".strip()

    def retry_after_s(self, now: datetime) -> float | None:
        """How long it asks to wait; None if it says nothing."""
        return retry_after_s(self.headers.get("Retry-After"), now)

    def require_json(self, what: str) -> dict[str, Any]:
        """The JSON object of an answer that went well.

        Raises:
            ProviderError: it is none.
        """
        found = self.json
        if found is None or not 200 <= self.status < 300:
            raise ProviderError(f"RunPod's answer about {what} cannot be used: {self.words}.")
        return found
