"""Which answer of RunPod is which error. Pure.

One table of texts for REST and GraphQL, matched loosely: RunPod tells capacity from mistakes by its words only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from autopod_nb.errors import (
    AuthFailed,
    Gone,
    LowBalance,
    NoCapacity,
    ProviderError,
    RateLimited,
    Uncertain,
)
from autopod_nb.providers.runpod_answer import Answer

_CAPACITY = re.compile(
    r"(?i)no longer any instances|no instances currently available|could not be placed|enough free gpus"
    r"|does not have the resources|enough disk space|no (?:gpus?|capacity|machines?) available|out of capacity"
    r"|insufficient capacity"
)
_MONEY = re.compile(
    r"(?i)insufficient (?:balance|funds|credit)|not enough (?:balance|funds|credit)|spend(?:ing)? limit"
)
_OPAQUE = re.compile(r"(?i)something went wrong")
_KEY = re.compile(r"(?i)\bunauthori[sz]ed\b|invalid (?:api key|bearer token)|\bnot authenticated\b")
_GONE = re.compile(r"(?i)pod not found|no such pod")
_FIXES = (
    (r"(?i)network ?volume.*(?:data ?cent|place|region)|data ?cent.*volume",
     "leave --region out or name the volume's own place"),
    (r"(?i)volume|mounts", "look at --network-volume and --volume"),
    (r"(?i)template", "look at --pod-template, or give --image"),
    (r"(?i)unknown gpu|gpu type|gpu\.", "choose another --gpu"),
    (r"(?i)data ?cent", "look at --region"),
    (r"(?i)image", "look at --image"),
    (r"(?i)cuda", "look at --cuda"),
    (r"(?i)disk", "look at --disk"),
)  # fmt: skip


def text_fault(text: str) -> ProviderError | None:
    """The error that a text stands for, wherever it is said; None if it stands for none."""
    if _CAPACITY.search(text):
        return NoCapacity(f"RunPod has none of that now: {text}.")
    if _MONEY.search(text):
        return LowBalance(f"RunPod says: {text}. Add credit in its console, or ask for a cheaper pod.")
    if _KEY.search(text):
        return AuthFailed(f"RunPod refuses the key: {text}. Make a new one in its console.")
    if _GONE.search(text):
        return Gone(f"RunPod has no such pod: {text}.")
    return None


def create_fault(answer: Answer, hidden: Iterable[str], *, retry_after_s: float | None = None) -> ProviderError:
    """Why a pod was not made, or that nobody knows.

    Args:
        answer: any but a good one.
        hidden: texts that must not be in the error, such as values of variables.
        retry_after_s: what the answer says of waiting.
    """
    detail = mask(answer.detail, hidden)
    if not answer.is_of_runpod or answer.status >= 500 or answer.status == 408 or answer.status < 400:
        return Uncertain(f"RunPod answered {answer.status} {detail}".strip() + " to the order: it may have made a pod.")
    if answer.status == 429:
        return RateLimited("RunPod was asked too often; nothing was rented.", retry_after_s=retry_after_s)
    by_status: dict[int, ProviderError] = {
        401: AuthFailed(f"RunPod refuses the key: {detail}."),
        402: LowBalance(f"RunPod says: {detail or 'too little balance'}. Add credit in its console."),
        # this pool is not for this account, another may be
        403: NoCapacity(f"This account may not rent that at RunPod: {detail}."),
    }
    known = by_status.get(answer.status, text_fault(detail))
    if isinstance(known, (AuthFailed, NoCapacity, LowBalance)):
        return known
    return ProviderError(f"RunPod refused the order: {detail or answer.status}; {_fix(detail)}.")


def _fix(detail: str) -> str:
    found = (fix for pattern, fix in _FIXES if re.search(pattern, detail))
    return next(found, "change what was asked for, nothing was rented")


def pod_fault(answer: Answer, provider_id: str, what: str) -> ProviderError:
    """Why something about a pod could not be done.

    Args:
        answer: any but a good one.
        provider_id: of the pod.
        what: for a person, as ``stopped``.
    """
    if answer.status == 404 and answer.is_of_runpod:
        return Gone(f"RunPod has no pod {provider_id} (any more).")
    if answer.status in (401, 403) and answer.is_of_runpod:
        return AuthFailed(f"RunPod does not let this key do that: {answer.words}.")
    capacity = text_fault(answer.detail)
    if isinstance(capacity, NoCapacity):
        return capacity
    return ProviderError(f"Pod {provider_id} could not be {what}: RunPod answered {answer.words}.")


def read_fault(answer: Answer, what: str) -> ProviderError:
    """Why something could not be read."""
    if answer.status in (401, 403) and answer.is_of_runpod:
        return AuthFailed(
            f"RunPod refuses the key: {answer.words}. Look in its console: is the key valid, may it read and write?"
        )
    return ProviderError(f"RunPod did not tell {what}: {answer.words}.")


def graphql_fault(messages: Iterable[str], what: str, *, may_be_done: bool) -> ProviderError:
    """The error for ``errors`` of GraphQL.

    Args:
        messages: its words, without anything secret.
        what: was asked for.
        may_be_done: it changes something, so that an opaque error leaves open whether it was done.
    """
    text = "; ".join(message.rstrip(".") for message in messages) or "no reason"
    if may_be_done and _OPAQUE.search(text):
        return Uncertain(f"RunPod answered {text!r} to {what}: it may have been done.")
    return text_fault(text) or ProviderError(f"RunPod refused {what}: {text}.")


def mask(text: str, hidden: Iterable[str]) -> str:
    """*text* without the texts that are not to be shown; very short ones occur by chance and stay."""
    for each in sorted((each for each in hidden if len(each) >= 4), key=len, reverse=True):
        text = text.replace(each, "…")
    return text
