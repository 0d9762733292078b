"""How files are divided so that they travel at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autopod_nb.ssh.content import Content
from autopod_nb.ssh.lanes import LANES

_SMALL_BYTES = 4 << 20
_BUNDLE_BYTES = 1 << 20, 32 << 20
_BUNDLE_FILES = 200  # their names stand in one command
_PIECE_BYTES = 4 << 20, 32 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one file, which goes to its place in the part.

    Attributes:
        content: the file.
        start: byte in the file.
        length: bytes.
        begun: whether some of it may be there.
    """

    content: Content
    start: int
    length: int
    begun: bool

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the file."""
        return self.length == self.content.size


@dataclass(frozen=True, slots=True)
class Bundle:
    """Small files that go as one archive."""

    contents: tuple[Content, ...]


def is_small(content: Content) -> bool:
    """Whether it goes with others."""
    return content.size <= _SMALL_BYTES


def part_of(content: Content) -> str:
    """What it is called on the pod until it is whole. A large file travels before anybody has read it."""
    return content.name if is_small(content) else content.mark


def plan(contents: Sequence[Content], begun: frozenset[str], *, divided: bool = True) -> list[Piece | Bundle]:
    """Divide files into what one channel carries at a time, large ones first.

    Args:
        contents: the files.
        begun: parts of which something may be there, in pieces; they are not bundled, so that it counts.
        divided: whether several channels carry more than one; else a file that has not begun goes as a whole.
    """
    large: list[Content] = []
    small: list[Content] = []
    for each in contents:
        (small if is_small(each) and part_of(each) not in begun else large).append(each)
    pieces: list[Piece] = []
    for each in large:
        if (has_begun := part_of(each) in begun) or divided:
            pieces += _pieces(each, begun=has_begun)
        else:
            pieces.append(Piece(each, 0, each.size, begun=False))
    return [*pieces, *_bundles(small)]


def _pieces(content: Content, *, begun: bool) -> Iterator[Piece]:
    size = _between(_PIECE_BYTES, content.size // (2 * LANES)) >> 20 << 20
    for start in range(0, content.size, size):
        yield Piece(content, start, min(size, content.size - start), begun)


def _bundles(contents: Sequence[Content]) -> Iterator[Bundle]:
    """As many as there are lanes if they are not too small, in the order of the files."""
    bound = _between(_BUNDLE_BYTES, -(-sum(each.size for each in contents) // LANES))
    taken: list[Content] = []
    room = bound
    for each in contents:
        if taken and (each.size > room or len(taken) == _BUNDLE_FILES):
            yield Bundle(tuple(taken))
            taken, room = [], bound
        taken.append(each)
        room -= each.size
    if taken:
        yield Bundle(tuple(taken))


def _between(bounds: tuple[int, int], wanted: int) -> int:
    return max(bounds[0], min(bounds[1], wanted))
