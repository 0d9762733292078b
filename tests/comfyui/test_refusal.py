"""The recorded refusals, each as one line for a person."""

from __future__ import annotations

import pytest

from autopod_nb.comfyui.refusal import explain, node_faults
from tests.comfyui.recorded import lines


@pytest.mark.parametrize(
    ("number", "error_type", "said"),
    [
        (8, "missing_node_type", "node 2 'My Node' (NoSuchNode): this ComfyUI has no node class 'NoSuchNode'. Install"),
        (9, "missing_node_type", "node 1 has no class_type: export the workflow again"),
        (5, "prompt_no_outputs", "it has no output node. Add one"),
        (11, "prompt_outputs_failed_validation", "node 2 (SaveImage): input images is missing"),
        (12, "prompt_outputs_failed_validation", "input ckpt_name: 'nope.safetensors' is not on the pod"),
        (13, "prompt_outputs_failed_validation", "node 1 (LoadImage): input image: Invalid image file: nope.png"),
        (
            15,
            "prompt_outputs_failed_validation",
            "input width: Value 0 smaller than min of 1; input height: Value 99999",
        ),
        (18, "prompt_outputs_failed_validation", "a link leads to a node or slot that does not exist"),
        (
            22,
            "prompt_outputs_failed_validation",
            "node 2 (SaveImage): input images: gets INT from node 1, it takes IMAGE",
        ),
        (23, "prompt_outputs_failed_validation", "perhaps they are linked in a circle"),
    ],
)
def test_each_recorded_refusal_becomes_one_line(number: int, error_type: str, said: str) -> None:
    line = [line for line in lines("http_errors") if line.get("path") == "/prompt"][number]
    error = explain(line["request_json"]["prompt"], line["response_json"])
    assert error.error_type == error_type
    assert said in str(error)


def test_outputs_that_are_left_out_are_named_although_the_workflow_was_accepted() -> None:
    line = next(line for line in lines("http_errors")
                if line.get("status") == 200 and (line.get("response_json") or {}).get("node_errors"))  # fmt: skip
    faults = node_faults(line["request_json"]["prompt"], line["response_json"]["node_errors"])
    assert faults == {"3": "node 3 (SaveImage): input images is missing"}
