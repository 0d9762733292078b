from __future__ import annotations

import pytest

from autopod_nb.localpod.nodes import NODES
from tests.localpod.nodes.workbench import Workbench


@pytest.mark.parametrize(
    ("name", "key", "file", "fault"),
    [
        ("LoadImage", "image", "x.png", "Invalid image file: x.png"),
        ("LoadAudio", "audio", "x.wav", "Invalid audio file: x.wav"),
        ("LoadVideo", "file", "x.mp4", "Invalid video file: x.mp4"),
    ],
)
def test_a_missing_file_is_refused_until_it_is_there(
    bench: Workbench, name: str, key: str, file: str, fault: str
) -> None:
    node = NODES[name]
    assert node.validate({key: file}, bench.input) == fault
    (bench.input / file).write_bytes(b"1")
    assert node.validate({key: file}, bench.input) is None


def test_files_in_subfolders_and_in_the_output_folder_are_valid_though_not_listed(bench: Workbench) -> None:
    (bench.input / "sub").mkdir()
    (bench.input / "sub" / "a.png").touch()
    (bench.output / "b.png").touch()
    node = NODES["LoadImage"]
    assert node.validate({"image": "sub/a.png"}, bench.input) is None
    assert node.validate({"image": "b.png [output]"}, bench.input) is None
    assert node.info_now(bench.input)["input"]["required"]["image"][0] == []


def test_lists_of_files_are_live(bench: Workbench) -> None:
    assert NODES["LoadAudio"].info_now(bench.input)["input"]["required"]["audio"][1]["options"] == []
    (bench.input / "a.png").touch()
    (bench.input / "b.wav").touch()
    assert NODES["LoadImage"].info_now(bench.input)["input"]["required"]["image"][0] == ["a.png"]
    assert NODES["LoadAudio"].info_now(bench.input)["input"]["required"]["audio"][1]["options"] == ["b.wav"]


def test_a_linked_file_name_is_not_checked(bench: Workbench) -> None:
    assert NODES["LoadImage"].validate({}, bench.input) is None
    assert NODES["LoadImage"].fingerprint({"image": ["3", 0]}, bench.input) == ""


def test_the_fingerprint_is_that_of_the_file_and_only_loaders_have_one(bench: Workbench) -> None:
    (bench.input / "a.png").write_bytes(b"one")
    before = NODES["LoadImage"].fingerprint({"image": "a.png"}, bench.input)
    (bench.input / "a.png").write_bytes(b"two")
    assert before not in ("", NODES["LoadImage"].fingerprint({"image": "a.png"}, bench.input))
    assert NODES["EmptyImage"].fingerprint({"image": "a.png"}, bench.input) == ""
