"""What the failures of the ``runpod`` package mean. Pure.

It looks at status 401 only and judges all else by the body, so that most failures are whatever Python raised meanwhile:
``KeyError: 'data'`` for a JSON 500, ``JSONDecodeError`` for a page of HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from autopod_nb import log
from autopod_nb.errors import AuthFailed, ProviderError, RateLimited, Uncertain
from autopod_nb.providers.runpod_faults import graphql_fault, mask

LOST = "the child ended"
TIME_UP = "the time is up"
NO_START = "the child did not start"
INSTALL = "pip install 'autopod-nb[runpod-sdk]'"
_SHOWN_CHARS = 300
_OFTEN = re.compile(r"(?i)too many requests|rate limit")
_TABLE: dict[str, tuple[type[ProviderError], str]] = {
    "AuthenticationError": (
        AuthFailed,
        "RunPod refuses the key for {what}. Look in its console: is the key valid, may it read and write?",
    ),
    # exactly this class: the package's own check of what it was given
    "ValueError": (ProviderError, "The package runpod refused {what}: {text}."),
    "ModuleNotFoundError": (ProviderError, f"The package runpod is not there, or not whole ({{text}}): {INSTALL}."),
    "ImportError": (ProviderError, f"The package runpod cannot be imported ({{text}}): {INSTALL}."),
    NO_START: (ProviderError, "The process of the package runpod could not be started: {text}."),
}
"""Kind of failure → error and its sentence; nothing was done for sure."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a call ended with instead of a result.

    Attributes:
        kind: name of the exception's class, or one of the three of this module.
        text: its words.
        is_sent: whether a request can have reached the service.
    """

    kind: str
    text: str
    is_sent: bool = True

    @property
    def is_final(self) -> bool:
        """Whether the same call would surely end the same way just now."""
        return self.kind in _TABLE or self.kind == "QueryError"

    @property
    def words(self) -> str:
        """Kind and text for a person, in one line without anything secret."""
        text = _clean(self.text)
        known = {"KeyError": "no data in its answer", "JSONDecodeError": "its answer is no JSON"}
        if self.kind in (LOST, TIME_UP, NO_START):
            return text
        return known.get(self.kind, f"{self.kind}: {text}".rstrip(": "))


def _clean(text: str) -> str:
    return log.redact(" ".join(text.split()))[:_SHOWN_CHARS].rstrip(".")


def known_fault(failure: Failure, what: str, *, hidden: Iterable[str] = (), may_be_done: bool) -> ProviderError | None:
    """The error for a failure that says what happened; None if nobody knows.

    Args:
        failure: of a call.
        what: was asked for, as ``the order``.
        hidden: texts that must not be in the error, such as values of variables.
        may_be_done: it changes something, so that an opaque error leaves open whether it was done.
    """
    text = mask(_clean(failure.text), hidden)
    if failure.kind == "QueryError":
        return _said(text, what, may_be_done=may_be_done)
    if (found := _TABLE.get(failure.kind)) is not None:
        error_class, sentence = found
        return error_class(sentence.format(what=what, text=text))
    return None if failure.is_sent else ProviderError(f"RunPod cannot be reached for {what}: {text}.")


def _said(text: str, what: str, *, may_be_done: bool) -> ProviderError:
    """The error for the words of the service."""
    if _OFTEN.search(text):
        return RateLimited(f"RunPod was asked too often for {what}; nothing was done.")
    return graphql_fault([text], what, may_be_done=may_be_done)


def order_fault(failure: Failure, hidden: Iterable[str]) -> ProviderError:
    """Why a pod was not made, or that nobody knows."""
    known = known_fault(failure, "the order", hidden=hidden, may_be_done=True)
    words = mask(failure.words, hidden)
    return known or Uncertain(f"RunPod gave no answer to the order ({words}): it may have made a pod.")


def call_fault(failure: Failure, what: str) -> ProviderError:
    """Why something that may be done twice did not succeed."""
    known = known_fault(failure, what, may_be_done=False)
    return known or ProviderError(f"RunPod gave no answer that can be used to {what}: {failure.words}.")
