from __future__ import annotations

import json

import pytest

from autopod_nb.errors import AuthFailed, Gone, LowBalance, NoCapacity, ProviderError, RateLimited, Uncertain
from autopod_nb.providers.runpod_answer import Answer
from autopod_nb.providers.runpod_faults import create_fault, graphql_fault, pod_fault, read_fault

_CAPACITY = (
    "There are no longer any instances available with the requested specifications. Please refresh and retry.",
    "There are no longer any instances available with the request specifications. Please try again later.",
    "There are no longer any instances available with enough disk space.",
    "There are no instances currently available",
    "the pod could not be placed",
    "This machine does not have the resources to deploy your pod. Please try a different machine.",
    "There are not enough free GPUs on the host machine to start this pod.",
)
_HTML = b"<html><body>502 Bad Gateway</body></html>"


def _problem(status: int, detail: str = "", **other: object) -> Answer:
    body = {"title": "T", "status": status, "detail": detail, **other}
    return Answer(status, {"Content-Type": "application/problem+json"}, json.dumps(body).encode())


@pytest.mark.parametrize("text", _CAPACITY)
def test_no_capacity_is_told_by_words_only_in_rest_and_graphql_alike(text: str) -> None:
    assert type(create_fault(_problem(400, text), ())) is NoCapacity
    assert type(graphql_fault([text], "the order", may_be_done=True)) is NoCapacity
    assert type(pod_fault(_problem(400, text), "p1", "started")) is NoCapacity


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (_problem(401), AuthFailed),
        (_problem(402, "Insufficient balance"), LowBalance),
        (_problem(400, "insufficient balance to deploy"), LowBalance),
        (_problem(400, "This is above your spend limit"), LowBalance),
        (_problem(403, "not in that pool"), NoCapacity),
        (_problem(429), RateLimited),
        (_problem(400, "Unknown GPU type: X"), ProviderError),
        (_problem(404, "template not found"), ProviderError),
        (_problem(422, "Request validation failed"), ProviderError),
        (_problem(408), Uncertain),
        (_problem(500), Uncertain),
        (_problem(503, _CAPACITY[0]), Uncertain),
        (Answer(502, {}, _HTML), Uncertain),
        (Answer(403, {}, _HTML), Uncertain),
        (Answer(400, {}, b""), Uncertain),
        (Answer(302, {"Location": "https://elsewhere.example"}, b"{}"), Uncertain),
    ],
)
def test_each_answer_to_an_order_is_one_error_and_uncertain_unless_it_is_a_clear_refusal(
    answer: Answer, kind: type[ProviderError]
) -> None:
    assert type(create_fault(answer, ())) is kind


@pytest.mark.parametrize(
    ("detail", "fix"),
    [
        ("template not found", "--pod-template"),
        ("The network volume is in EU-RO-1, which is not among the data centers.", "--region"),
        ("network volume not found", "--network-volume"),
        ("Unknown GPU type: NVIDIA A41", "--gpu"),
        ("missing property 'image'", "--image"),
        ("'disk' is not valid", "--disk"),
    ],
)
def test_a_refusal_names_what_is_wrong_and_the_fix_in_one_line(detail: str, fix: str) -> None:
    text = str(create_fault(_problem(400, detail), ()))
    assert detail.rstrip(".") in text
    assert fix in text
    assert "\n" not in text


def test_values_of_variables_and_keys_are_in_no_error() -> None:
    answer = _problem(422, "'env' has hunter22 in it", errors=["env: hunter22", "key rpa_0123456789abcdef"])
    text = str(create_fault(answer, ["hunter22", "it"]))
    assert "hunter22" not in text
    assert "rpa_0123456789abcdef" not in text
    assert " it" in text, "very short values occur by chance"


def test_an_opaque_error_leaves_open_whether_an_order_was_carried_out_but_not_a_question() -> None:
    text = "Something went wrong. Please try again later or contact support."
    assert type(graphql_fault([text], "the order", may_be_done=True)) is Uncertain
    assert type(graphql_fault([text], "a question", may_be_done=False)) is ProviderError


def test_a_404_is_believed_only_when_runpod_itself_says_so() -> None:
    assert type(pod_fault(_problem(404, "pod not found"), "p1", "read")) is Gone
    assert type(pod_fault(Answer(404, {}, _HTML), "p1", "read")) is ProviderError
    assert type(pod_fault(Answer(404, {"x-request-id": "r"}, b""), "p1", "read")) is Gone


def test_a_key_that_is_refused_is_told_from_a_page_of_somebody_in_between() -> None:
    assert type(read_fault(_problem(403, "no access"), "its pods")) is AuthFailed
    assert type(read_fault(Answer(403, {}, b"<html>error code: 1010"), "its pods")) is ProviderError
