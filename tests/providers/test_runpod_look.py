from __future__ import annotations

import threading
from typing import Any

import pytest

from autopod_nb.errors import Gone, ProviderError
from autopod_nb.providers.runpod_look import PodLook


class _Account:
    """Pods, and how often they were read."""

    def __init__(self, *ids: str) -> None:
        self.pods: dict[str, dict[str, Any]] = {each: {"id": each, "n": 0} for each in ids}
        self.omits: set[str] = set()
        self.ones: list[str] = []
        self.lists = 0
        self.list_fails = False
        self.pace = 0.0
        self.look = PodLook(one=self._one, every=self._every, pace_s=lambda: self.pace)

    def _one(self, pod_id: str) -> dict[str, Any]:
        self.ones.append(pod_id)
        if pod_id not in self.pods:
            raise Gone("gone")
        return dict(self.pods[pod_id])

    def _every(self) -> tuple[dict[str, Any], ...]:
        self.lists += 1
        if self.list_fails:
            raise ProviderError("not whole")
        return tuple(dict(pod) for pod_id, pod in self.pods.items() if pod_id not in self.omits)


def test_one_who_asks_gets_the_pod_itself_each_time() -> None:
    account = _Account("a")
    for n in range(3):
        account.pods["a"]["n"] = n
        assert account.look.find("a")["n"] == n
    assert (account.ones, account.lists) == (["a"] * 3, 0)


def test_several_who_ask_within_a_second_share_one_list() -> None:
    account = _Account("a", "b", "c")
    for _ in range(5):
        for pod_id in "abc":
            assert account.look.find(pod_id)["id"] == pod_id
    assert (account.ones, account.lists) == (["a"], 1)


def test_a_pod_that_the_list_lacks_is_asked_for_itself_before_it_is_gone() -> None:
    account = _Account("a", "b")
    account.omits.add("b")
    account.look.find("a")
    assert account.look.find("b")["id"] == "b"
    del account.pods["b"]
    account.look.forget()
    with pytest.raises(Gone):
        account.look.find("b")


def test_a_list_that_is_not_whole_does_not_stand_in_the_way_of_a_pod() -> None:
    account = _Account("a", "b")
    account.list_fails = True
    account.look.find("a")
    assert account.look.find("b")["id"] == "b"
    with pytest.raises(ProviderError, match="not whole"):
        account.look.all()


def test_after_a_change_nothing_old_is_told_not_even_what_was_being_read_meanwhile() -> None:
    account = _Account("a", "b")
    account.pace = 100.0
    account.look.find("a")
    account.look.find("a")
    assert account.ones == ["a"], "as often as the service can bear"
    account.look.forget()
    account.pods["a"]["n"] = 1
    assert account.look.find("a")["n"] == 1

    reads, go_on = threading.Event(), threading.Event()

    def slow(pod_id: str) -> dict[str, Any]:
        found = dict(account.pods[pod_id])
        reads.set()
        go_on.wait(10)
        return found

    look = PodLook(one=slow, every=lambda: (), pace_s=lambda: 100.0)
    thread = threading.Thread(target=look.find, args=("b",))
    thread.start()
    assert reads.wait(10)
    account.pods["b"]["n"] = 1
    look.forget()
    go_on.set()
    thread.join(10)
    assert look.find("b")["n"] == 1
