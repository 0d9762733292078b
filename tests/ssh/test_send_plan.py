from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.ssh.content import Content, Stamp
from autopod_nb.ssh.lanes import LANES
from autopod_nb.ssh.send_plan import Bundle, Piece, part_of, plan
from autopod_nb.ssh.shell import BLOCK_BYTES

_MIB = 1 << 20


def _content(number: int, size: int) -> Content:
    return Content(Path(f"/{number}.bin"), Stamp(0, number, size, 0, 0), f"{number:064x}"[::-1])


def _planned(sizes: list[int], begun: frozenset[int] = frozenset()) -> list[Piece | Bundle]:
    contents = [_content(number, size) for number, size in enumerate(sizes)]
    return plan(contents, frozenset(part_of(contents[number]) for number in begun))


def test_one_large_file_keeps_every_lane_busy() -> None:
    pieces = _planned([256 * _MIB])
    assert len(pieces) == 8
    assert len(_planned([40 * _MIB])) == 8


def test_over_a_near_line_a_large_file_is_one_stream_unless_it_has_begun() -> None:
    contents = [_content(number, size) for number, size in enumerate([256 * _MIB, 100_000, 256 * _MIB])]
    tasks = plan(contents, frozenset({part_of(contents[2])}), divided=False)
    assert [isinstance(task, Piece) and task.is_whole for task in tasks] == [True, *[False] * 9]
    assert [task.begun for task in tasks if isinstance(task, Piece)] == [False, *[True] * 8]


def test_many_small_files_are_as_many_archives_as_there_are_lanes() -> None:
    bundles = _planned([100_000] * 200)
    assert all(isinstance(each, Bundle) for each in bundles)
    assert LANES <= len(bundles) <= LANES + 1


def test_few_small_files_are_one_archive() -> None:
    assert len(_planned([100_000] * 5)) == 1


def test_a_small_file_that_has_begun_goes_on_by_itself() -> None:
    piece, bundle = _planned([100_000] * 3, frozenset({1}))
    assert isinstance(piece, Piece)
    assert isinstance(bundle, Bundle)
    assert (piece.content.path.name, piece.begun) == ("1.bin", True)
    assert [each.path.name for each in bundle.contents] == ["0.bin", "2.bin"]


@given(st.lists(st.integers(0, 300 * _MIB), max_size=300), st.sets(st.integers(0, 299)))
def test_every_byte_is_in_one_place(sizes: list[int], begun: set[int]) -> None:
    """And no piece begins where the pod cannot write, no archive is longer than a command may be."""
    begun = {number for number in begun if number < len(sizes) and sizes[number]}
    tasks = _planned(sizes, frozenset(begun))
    bundled = [each.path.name for task in tasks if isinstance(task, Bundle) for each in task.contents]
    pieces: dict[str, list[Piece]] = {}
    for task in tasks:
        if isinstance(task, Piece):
            pieces.setdefault(task.content.path.name, []).append(task)
        else:
            assert len(task.contents) <= 200
    assert sorted([*bundled, *pieces]) == sorted(f"{number}.bin" for number in range(len(sizes)))
    for found in pieces.values():
        ends = [each.start + each.length for each in found]
        assert [each.start for each in found] == [0, *ends[:-1]]
        assert ends[-1] == found[0].content.size
        assert all(each.start % BLOCK_BYTES == 0 for each in found)
        assert all(0 < each.length <= 32 * _MIB for each in found)
