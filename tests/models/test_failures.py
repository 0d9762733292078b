"""Failures that are known by their words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.failures import recognise, recognise_all

SPACE, RAM, VRAM, CUDA = "No space left", "Out of main memory", "Out of GPU memory", "CUDA does not fit the GPU"
NODE, CLASS, MODEL = "A custom node cannot be imported", "A node class is missing", "A model file is missing"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("OSError: [Errno 28] No space left on device: '/workspace/out.png'", SPACE),
        ("RuntimeError: [enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory", RAM),
        ("MemoryError", RAM),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has 47.5 GiB", VRAM),
        ("torch.cuda.OutOfMemoryError: Allocation on device 0 would exceed allowed memory.", VRAM),
        ("Got an OOM, unloading all loaded models.", VRAM),
        ("RuntimeError: CUDA error: out of memory", VRAM),
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device", CUDA),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 11040)", CUDA),
        ("Error 804: forward compatibility was attempted on non supported HW", CUDA),
        ("AssertionError: Torch not compiled with CUDA enabled", CUDA),
        ("CUDA error: unspecified launch failure", "The GPU itself failed"),
        ("   0.4 seconds (IMPORT FAILED): /workspace/ComfyUI/custom_nodes/ComfyUI-Impact-Pack", NODE),
        ("Cannot import /x/custom_nodes/videohelper module for custom nodes: No module named 'cv2'", NODE),
        ("ComfyUI refused the workflow: node 3 (Foo): this ComfyUI has no node class 'Foo'.", CLASS),
        ("FileNotFoundError: Model in folder 'checkpoints' with filename 'wan.safetensors' not found.", MODEL),
        ("node 1 (CheckpointLoaderSimple): input ckpt_name: 'x.safetensors' is not in its list (nearest: y)", MODEL),
        ("input unet_name: 'wan.safetensors' is not on the pod, and neither is anything else of its kind", MODEL),
        ("Value not in list: ckpt_name: 'sd.ckpt' not in ['a.ckpt']", MODEL),
        ("SafetensorError: Error while deserializing header: HeaderTooLarge", "A model file is damaged"),
        ("mat1 and mat2 shapes cannot be multiplied (77x2048 and 768x320)", "Models do not belong together"),
        ("OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8188)", "The port is taken"),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error", "A download was refused"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'", "ffmpeg is missing"),
    ],
)  # fmt: skip
def test_a_known_failure_is_named_with_advice(line: str, name: str) -> None:
    failure = recognise(line)
    assert failure is not None
    assert failure.name == name
    assert failure.advice.endswith(".")
    assert str(failure) == f"{name}: {failure.advice}"


@pytest.mark.parametrize(
    "line",
    [
        "", "got prompt", "Prompt executed in 2.31 seconds", "Total VRAM 48670 MB, total RAM 515618 MB",
        "ZeroDivisionError: integer division or modulo by zero", "loaded completely 9.5367431640625e+25 1639.4 True",
        "Import times for custom nodes:", "   0.0 seconds: /workspace/ComfyUI/custom_nodes/websocket_image_save.py",
        "To see the GUI go to: http://127.0.0.1:8188", "input width: 7 is not in its list (nearest: 8)",
    ],
)  # fmt: skip
def test_what_is_no_known_failure_is_not_named(line: str) -> None:
    assert recognise(line) is None


def test_a_log_names_each_failure_once_with_its_newest_line() -> None:
    found = recognise_all(["fine", "a: No space left on device", "MemoryError", "  b: No space left on device\n"])
    assert [(failure.name, line) for failure, line in found] == [
        (SPACE, "b: No space left on device"),
        (RAM, "MemoryError"),
    ]


@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    assert recognise_all([text, text]) == recognise_all([text])


def test_a_line_of_megabytes_is_looked_at_in_its_first_part_only() -> None:
    """Else one picture in a log would hold the panel up."""
    assert recognise("custom_nodes " * 100_000) is None
