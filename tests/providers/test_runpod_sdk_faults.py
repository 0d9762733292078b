"""What the failures of the package become."""

from __future__ import annotations

import pytest

from autopod_nb.errors import AuthFailed, Gone, LowBalance, NoCapacity, ProviderError, RateLimited, Uncertain
from autopod_nb.providers.runpod_sdk_faults import (
    INSTALL,
    LOST,
    NO_START,
    TIME_UP,
    Failure,
    call_fault,
    known_fault,
    order_fault,
)

_CAPACITY = "There are no longer any instances available with the requested specifications."
_OPAQUE = "Something went wrong. Please try again later or contact support."


@pytest.mark.parametrize(
    ("failure", "order", "call"),
    [
        (Failure("AuthenticationError", "Unauthorized request, please check your API key."), AuthFailed, AuthFailed),
        (Failure("QueryError", _CAPACITY), NoCapacity, NoCapacity),
        (Failure("QueryError", "Insufficient balance"), LowBalance, LowBalance),
        (Failure("QueryError", "Too Many Requests"), RateLimited, RateLimited),
        (Failure("QueryError", "Unauthorized"), AuthFailed, AuthFailed),
        (Failure("QueryError", "pod not found to terminate"), Gone, Gone),
        (Failure("QueryError", _OPAQUE), Uncertain, ProviderError),
        (Failure("QueryError", "Syntax Error"), ProviderError, ProviderError),
        (Failure("ValueError", "No GPU found with the specified ID"), ProviderError, ProviderError),
        (Failure("KeyError", "'data'"), Uncertain, ProviderError),
        (Failure("TypeError", "'NoneType' object is not subscriptable"), Uncertain, ProviderError),
        (Failure("JSONDecodeError", "Expecting value: line 1 column 1 (char 0)"), Uncertain, ProviderError),
        (Failure("ConnectionError", "Connection aborted."), Uncertain, ProviderError),
        (Failure("ConnectionError", "Connection refused", is_sent=False), ProviderError, ProviderError),
        (Failure("ReadTimeout", "Read timed out."), Uncertain, ProviderError),
        (Failure(LOST, "it ended with status -9"), Uncertain, ProviderError),
        (Failure(LOST, "it has just ended", is_sent=False), ProviderError, ProviderError),
        (Failure(TIME_UP, "no answer within 45 s"), Uncertain, ProviderError),
        (Failure(NO_START, "it was not ready", is_sent=False), ProviderError, ProviderError),
        (Failure("ModuleNotFoundError", "No module named 'runpod'", is_sent=False), ProviderError, ProviderError),
        (Failure("ImportError", "cannot import name", is_sent=False), ProviderError, ProviderError),
    ],
)
def test_each_failure_is_one_error_for_an_order_and_one_for_what_may_be_repeated(
    failure: Failure, order: type[ProviderError], call: type[ProviderError]
) -> None:
    """Exactly that class: ``Uncertain`` for a refusal would look for a pod, the reverse would forget one."""
    assert type(order_fault(failure, ())) is order
    assert type(call_fault(failure, "list the pods")) is call


@pytest.mark.parametrize("kind", ["ModuleNotFoundError", "ImportError"])
def test_a_missing_package_is_told_with_what_installs_it(kind: str) -> None:
    assert INSTALL in str(call_fault(Failure(kind, "No module named 'runpod'", is_sent=False), "list the pods"))


def test_the_value_of_a_variable_is_in_no_error() -> None:
    failure = Failure("QueryError", "Syntax Error: unexpected hunter2 in the query")
    assert "hunter2" not in str(order_fault(failure, ["hunter2"]))
    assert "Syntax Error" in str(order_fault(failure, ["hunter2"]))


@pytest.mark.parametrize(
    ("failure", "is_final"),
    [
        (Failure("QueryError", "no"), True),
        (Failure("AuthenticationError", "no"), True),
        (Failure("ModuleNotFoundError", "no"), True),
        (Failure(NO_START, "no"), True),
        (Failure("KeyError", "'data'"), False),
        (Failure("ReadTimeout", ""), False),
        (Failure(LOST, ""), False),
    ],
)
def test_only_where_nothing_was_said_it_is_worth_asking_again(failure: Failure, *, is_final: bool) -> None:
    assert failure.is_final is is_final


def test_an_unknown_failure_of_a_start_is_left_to_its_caller() -> None:
    assert known_fault(Failure("ReadTimeout", ""), "the start", may_be_done=True) is None
