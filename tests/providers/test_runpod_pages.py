from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from autopod_nb.errors import ProviderError
from autopod_nb.providers.runpod_pages import read_all


def _page(*ids: str, cursor: str | None = None, **other: Any) -> dict[str, Any]:
    page = {
        "pods": [{"id": each} for each in ids],
        "pagination": {"nextCursor": cursor, "hasNextPage": cursor is not None},
    }
    return {**page, **other}


def _read(*pages: dict[str, Any]) -> tuple[list[str], list[Mapping[str, str]]]:
    asked: list[Mapping[str, str]] = []
    left = list(pages)

    def fetch(query: Mapping[str, str]) -> dict[str, Any]:
        asked.append(query)
        return left.pop(0)

    return [each["id"] for each in read_all(fetch, "pods")], asked


def test_pages_are_followed_to_the_last_and_what_shifted_is_taken_once() -> None:
    ids, asked = _read(_page("a", "b", cursor="1"), _page("b", "c", cursor="2"), _page("d"))
    assert ids == ["a", "b", "c", "d"]
    assert [each.get("cursor") for each in asked] == [None, "1", "2"]


def test_an_empty_list_that_says_that_it_is_whole_is_believed() -> None:
    assert _read(_page())[0] == []


@pytest.mark.parametrize(
    "last",
    [
        {"pods": [{"id": "c"}]},
        _page("c", pagination=None),
        _page("c", pagination={"nextCursor": None, "hasNextPage": True}),
        _page("c", pagination={"nextCursor": "", "hasNextPage": True}),
        _page("c", pagination={"nextCursor": "9", "hasNextPage": False}),
        _page("c", pagination={"nextCursor": None}),
        _page("c", pagination={"nextCursor": None, "hasNextPage": "no"}),
        _page("c", cursor="1"),
        _page("c", pods=None),
        _page("c", pods=[{"name": "no id"}]),
        {"detail": "something else"},
    ],
)
def test_a_list_that_may_not_be_whole_is_an_error_and_never_fewer_pods(last: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="not whole"):
        _read(_page("a", cursor="1"), last)


def test_a_list_that_never_ends_has_an_end() -> None:
    with pytest.raises(ProviderError, match="does not end"):
        read_all(lambda query: _page("a", cursor=query.get("cursor", "") + "x"), "pods")
