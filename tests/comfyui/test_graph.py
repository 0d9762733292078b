from __future__ import annotations

from typing import Any

import pytest

from autopod_nb.comfyui.graph import Graph, find_input, is_link
from autopod_nb.errors import TemplateError


def node(cls: str, title: str = "", **inputs: Any) -> dict[str, Any]:
    return {"class_type": cls, "inputs": inputs} | ({"_meta": {"title": title}} if title else {})


GRAPH: Graph = {
    "3": node("KSampler", "Sampler", seed=1, steps=20),
    "Sampler": node("Other", "Third", seed=1),
    "5:0": node("Resize", "A.B", **{"kind": "scale", "kind.width": 64, "C.d": 1}),
    "6": node("CLIPTextEncode", "Prompt", text="a"),
    "7": node("CLIPTextEncode", "Prompt", text="b"),
    "8": node("SaveVideo", "output.video", format="mp4"),
    "9": node("ImageInvert"),
    "A": node("X", "Y", z=1),
}


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("3.seed", ("3", "seed")),
        ("5:0.kind", ("5:0", "kind")),
        ("5:0.kind.width", ("5:0", "kind.width")),
        ("A.B.kind.width", ("5:0", "kind.width")),
        ("A.B.C.d", ("5:0", "C.d")),
        ("A.z", ("A", "z")),
        ("Third.seed", ("Sampler", "seed")),
        ("Sampler.seed", ("Sampler", "seed")),
        ("output.video.format", ("8", "format")),
        ("SaveVideo.format", None),
        ("7.text", ("7", "text")),
    ],
)
def test_an_input_is_found_by_id_or_title_and_names_may_hold_dots(key: str, found: tuple[str, str] | None) -> None:
    if found is None:
        with pytest.raises(TemplateError):
            find_input(GRAPH, key)
    else:
        assert find_input(GRAPH, key) == found


def test_a_node_without_a_title_is_called_by_its_class() -> None:
    assert find_input({"3": node("KSampler", seed=1)}, "KSampler.seed") == ("3", "seed")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("3.sede", "node '3' (Sampler) has no input 'sede' in the workflow. Did you mean 'seed'? It has: seed, steps."),
        ("9.x", "node '9' (ImageInvert) has no input 'x' in the workflow. It has: none."),
        ("3.", "has no input ''"),
        ("Samplr.seed", "no node has the id or the title 'Samplr'. Did you mean 'Sampler'? A node's input is NODE_ID"),
        ("12.seed", "no node has the id or the title '12'."),
        (".seed", "no node has the id or the title ''."),
        ("Prompt.text", "2 nodes are titled 'Prompt'; name one by its id: 6.text, 7.text."),
        ("Prompt.txt", "2 nodes are titled 'Prompt'"),
    ],
)
def test_what_cannot_be_found_is_refused_with_the_nearest(key: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        find_input(GRAPH, key)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("value", "link"),
    [(["3", 0], True), (["3", True], False), ([3, 0], False), (["3"], False), (["3", 0, 1], False), ("30", False)],
)
def test_a_link_is_a_list_of_an_id_and_a_whole_number(value: object, link: object) -> None:
    assert is_link(value) is link
