from __future__ import annotations

from autopod_nb.comfyui.watchlist import Watchlist


def test_a_start_is_told_once_by_whoever_tells_it_first() -> None:
    watched = Watchlist()
    for prompt_id in ("told", "silent", "waits"):
        watched.add(prompt_id, "ours", posted=True)
    assert watched.heard("told", started=True)
    assert watched.begun(["told", "silent", "a stranger's"]) == {"silent": "ours"}
    assert watched.begun(["told", "silent"]) == {}


def test_other_news_of_a_prompt_are_not_its_start() -> None:
    """A socket that was opened in mid-run hears of nodes only."""
    watched = Watchlist()
    watched.add("p", "ours", posted=True)
    watched.heard("p")
    assert watched.begun(["p"]) == {"p": "ours"}
