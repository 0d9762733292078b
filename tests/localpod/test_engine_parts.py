"""The parts of the engine that need no socket: queue, order of nodes, cache, origin rule."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.localpod import prompt_queue
from autopod_nb.localpod.comfy_origin import same_place
from autopod_nb.localpod.executor import plan
from autopod_nb.localpod.node_cache import NodeCache, Signatures
from autopod_nb.localpod.nodes import NODES, NodeResult
from autopod_nb.localpod.prompt_queue import Entry, PromptQueue, TiedEntryError

Graph = dict[str, Any]


def entry(number: float, prompt_id: str = "x", order: int = 0) -> Entry:
    return Entry(number, prompt_id, {}, {}, ("1",), order)


def finished(queue: PromptQueue, prompt_id: str) -> None:
    queue.put(entry(0, prompt_id))
    taken = queue.take()
    assert taken is not None
    queue.done(taken, {"outputs": {}})


@given(st.lists(st.integers(-50, 50) | st.floats(-50, 50), max_size=30))
def test_entries_run_by_number_and_are_shown_as_a_heap(numbers: list[float]) -> None:
    queue = PromptQueue(lambda: None)
    for index, number in enumerate(numbers):
        queue.put(entry(number, f"id {index}", index))
    shown = [e.number for e in queue.snapshot()[1]]
    heap: list[float] = []
    for number in numbers:
        heapq.heappush(heap, number)
    assert shown == heap or len(set(numbers)) < len(numbers)  # equal numbers go by id
    assert [e.number for e in (queue.take() for _ in numbers) if e is not None] == sorted(numbers)


def test_a_tied_entry_is_queued_and_refused() -> None:
    queue = PromptQueue(lambda: None)
    queue.put(entry(1))
    with pytest.raises(TiedEntryError):
        queue.put(entry(1, order=1))
    assert queue.remaining() == 2


def test_every_change_of_the_queue_is_told() -> None:
    told: list[int] = []
    queue = PromptQueue(lambda: told.append(queue.remaining()))
    for prompt_id in ("a", "b", "c"):
        queue.put(entry(1, prompt_id))
    queue.delete("b")
    queue.delete("unknown")
    queue.clear()
    assert told == [1, 2, 3, 2, 0]


@given(st.integers(0, 8), st.none() | st.integers(-2, 9), st.integers(-2, 9))
def test_a_part_of_the_history_is_what_the_real_loop_would_pick(count: int, max_items: int | None, offset: int) -> None:
    """The rule, told as the real server is known to apply it: skip, take, and look at the limit after each taking."""
    queue = PromptQueue(lambda: None)
    names = [str(index) for index in range(count)]
    for name in names:
        finished(queue, name)
    first = count - max_items if offset < 0 and max_items is not None else offset
    wanted: list[str] = []
    for index, name in enumerate(names):
        if index >= first and (max_items is None or len(wanted) < max(max_items, 1)):
            wanted.append(name)
    assert list(queue.history(max_items, offset)) == wanted


def test_the_history_forgets_its_oldest_entry_when_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_queue, "HISTORY_SIZE", 2)
    queue = PromptQueue(lambda: None)
    for name in ("a", "b", "c"):
        finished(queue, name)
    assert list(queue.history()) == ["b", "c"]
    queue.forget("b")
    assert list(queue.history()) == ["c"]
    queue.forget_all()
    assert queue.past("c") is None


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, set[str]], tuple[str, ...], frozenset[str]]:
    """Draw needs without cycles, outputs, and cached nodes."""
    names = [str(index) for index in range(draw(st.integers(1, 10)))]
    needs = {
        name: draw(st.sets(st.sampled_from(names[:i]), max_size=3)) if i else set() for i, name in enumerate(names)
    }
    shuffled = draw(st.permutations(names))
    outputs = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    cached = draw(st.frozensets(st.sampled_from(names)))
    return {name: needs[name] for name in shuffled}, tuple(outputs), cached


@given(graphs())
def test_a_node_runs_once_after_what_it_needs_and_only_if_it_is_needed(
    case: tuple[dict[str, set[str]], tuple[str, ...], frozenset[str]],
) -> None:
    needs, outputs, cached = case
    ordered = plan(needs, outputs, cached)
    assert len(ordered) == len(set(ordered))
    done = set(cached)
    for node in ordered:
        assert node in cached or needs[node] <= done
        done.add(node)
    wanted, open_nodes = set(outputs), [node for node in outputs if node not in cached]
    while open_nodes:
        fresh = needs[open_nodes.pop()] - cached - wanted
        wanted |= fresh
        open_nodes += fresh
    assert set(ordered) == wanted


def test_an_output_that_can_be_shown_early_is_shown_early() -> None:
    """A preview beside a long branch runs before the branch."""
    needs = {"1": set(), "2": {"1"}, "3": {"2"}, "4": {"3"}, "preview": {"1"}}
    assert plan(needs, ("4", "preview"), frozenset()) == ["1", "preview", "2", "3", "4"]


def signed(graph: Mapping[str, Any], input_dir: Path) -> Mapping[str, str | None]:
    return Signatures.of(graph, NODES, input_dir).by_node


def shown(value: object, source: str = "1") -> Graph:
    return {
        source: {"class_type": "PrimitiveInt", "inputs": {"value": value}},
        "9": {"class_type": "PreviewAny", "inputs": {"source": [source, 0]}},
    }


def test_a_node_is_the_same_under_another_id(tmp_path: Path) -> None:
    assert signed(shown(1), tmp_path)["9"] == signed(shown(1, source="5"), tmp_path)["9"]
    assert signed(shown(1), tmp_path)["9"] != signed(shown(2), tmp_path)["9"]


def test_a_changed_file_is_another_node(tmp_path: Path) -> None:
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}
    seen = set()
    for data in (b"one", b"two", b"one"):
        (tmp_path / "a.png").write_bytes(data)
        seen.add(signed(graph, tmp_path)["1"])
    assert len(seen) == 2


def test_results_that_the_next_job_does_not_use_are_forgotten(tmp_path: Path) -> None:
    cache, result = NodeCache(), NodeResult((1,))
    cache.begin(Signatures.of(shown(1), NODES, tmp_path))
    cache.put("1", result)
    cache.begin(Signatures.of(shown(1), NODES, tmp_path))
    assert cache.get("1") is result
    cache.begin(Signatures.of(shown(2), NODES, tmp_path))
    cache.begin(Signatures.of(shown(1), NODES, tmp_path))
    assert cache.get("1") is None


@pytest.mark.parametrize(
    ("host", "origin", "same"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188", True),
        ("127.0.0.1:8188", "https://127.0.0.1:8188", True),
        ("127.0.0.1:8188", "http://127.0.0.1", True),
        ("127.0.0.1", "http://127.0.0.1:9", True),
        ("127.0.0.1:8188", "null", True),
        ("127.0.0.1:8188", "http://localhost:8188", False),
        ("127.0.0.1:8188", "http://127.0.0.1:8888", False),
        ("localhost:8188", "http://127.0.0.1:8188", False),
        ("LOCALHOST:8188", "http://localhost:8188", True),
        ("[::1]:8188", "http://[::1]:8188", True),
        ("[::1]:8188", "http://evil.example", False),
        ("pod.example", "http://evil.example", True),
    ],
)
def test_only_a_page_of_the_same_place_may_talk_to_loopback(host: str, origin: str, *, same: bool) -> None:
    assert same_place(host, origin) is same
