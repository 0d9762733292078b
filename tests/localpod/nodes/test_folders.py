from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.localpod.nodes.folders import Folders, content_hash, free_slot, listed

FOLDERS = Folders(Path("base/input"), Path("base/output"), Path("base/temp"))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.png", "base/input/a.png"),
        ("sub/a.png", "base/input/sub/a.png"),
        ("a.png [output]", "base/output/a.png"),
        ("sub/a.png [temp]", "base/temp/sub/a.png"),
        ("a.png [input]", "base/input/a.png"),
        ("a [1].png", "base/input/a [1].png"),
    ],
)
def test_a_name_may_say_in_which_folder_it_lies(name: str, path: str) -> None:
    assert FOLDERS.find(name) == Path(path)


def test_the_other_folders_lie_beside_the_input_folder() -> None:
    assert Folders.beside(Path("base/input")) == FOLDERS


def test_the_counter_goes_on_after_the_highest_number_and_not_into_gaps(tmp_path: Path) -> None:
    for name in ("pic_00001_.png", "pic_00007_.webp", "picture_00009_.png", "pic_x_.png"):
        (tmp_path / name).touch()
    assert free_slot("pic", tmp_path).name("png") == "pic_00008_.png"


def test_numbers_beyond_five_digits_are_counted_too(tmp_path: Path) -> None:
    (tmp_path / "pic_123456_.png").touch()
    assert free_slot("pic", tmp_path).name("png") == "pic_123457_.png"


def test_a_prefix_may_hold_folders_and_they_are_made(tmp_path: Path) -> None:
    slot = free_slot("a/b/pic", tmp_path)
    assert (slot.folder, slot.subfolder, slot.name("png")) == (tmp_path / "a" / "b", "a/b", "pic_00001_.png")
    assert slot.folder.is_dir()


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("%width%x%height%", "64x32_00001_.png"),
        ("%date:yyyy%", "%date:yyyy%_00001_.png"),
        ("n%batch_num%", "n0_00001_.png"),
        ("", "._00001_.png"),
    ],
)
def test_the_server_expands_its_own_placeholders_only(tmp_path: Path, prefix: str, name: str) -> None:
    assert free_slot(prefix, tmp_path, width=64, height=32).name("png") == name


def test_dates_are_expanded_with_two_digits_each(tmp_path: Path) -> None:
    stem = free_slot("%year%-%month%-%day%_%hour%%minute%%second%", tmp_path).stem
    year, month, rest = stem.split("-")
    assert year.isdigit()
    assert (len(month), len(rest)) == (2, len("23_214501"))


@pytest.mark.parametrize("prefix", ["../pic", "a/../../pic", "/pic"])
def test_nothing_is_saved_outside_of_the_folder(tmp_path: Path, prefix: str) -> None:
    root = tmp_path / "output"
    root.mkdir()
    with pytest.raises(ValueError, match="outside the output folder"):
        free_slot(prefix, root)
    assert list(tmp_path.iterdir()) == [root]


@given(numbers=st.sets(st.integers(min_value=0, max_value=99_999), max_size=8))
def test_a_free_slot_never_names_a_file_that_is_there(
    numbers: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """For any files that are there, the next name is new."""
    folder = tmp_path_factory.mktemp("slots")
    for number in numbers:
        (folder / f"pic_{number:05}_.png").touch()
    assert not (folder / free_slot("pic", folder).name("png")).exists()


def test_a_list_holds_files_of_the_wanted_kinds_and_no_subfolders(tmp_path: Path) -> None:
    for name in ("b.png", "a.webp", "c.mp4", "d.wav", "e.txt", "noname"):
        (tmp_path / name).touch()
    (tmp_path / "sub.png").mkdir()
    assert listed(tmp_path, frozenset({"image"})) == ["a.webp", "b.png"]
    assert listed(tmp_path, frozenset({"audio", "video"})) == ["c.mp4", "d.wav"]
    assert len(listed(tmp_path, frozenset())) == 6
    assert listed(tmp_path / "missing", frozenset()) == []


def test_a_hash_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert content_hash(path) == ""
    path.write_bytes(b"one")
    first = content_hash(path)
    path.write_bytes(b"two")
    assert len(first) == 64
    assert content_hash(path) != first
