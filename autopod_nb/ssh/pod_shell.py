"""What the pod is asked about files, in words that dash, busybox and macOS all know."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autopod_nb.errors import TransferError
from autopod_nb.ssh.lanes import lanes_of
from autopod_nb.ssh.line import SshConnection, quote
from autopod_nb.ssh.pace import Pace
from autopod_nb.ssh.shell import MARK, SUM, Answer, take

PARTS = ".autopod-parts"
"""Folder of what is not whole yet, in the folder that files go to, so that a rename gives them their place."""

# Parts that nobody went on with for three days; a network volume is paid by its size.
_FORGET = f"{{ find {PARTS} -type f -mtime +2 -exec rm -f -- '{{}}' ';' 2>/dev/null; true; }}"
_FEW_BYTES = 4096  # of words, that fit into the command itself
_MARKED = re.compile(r"(?P<name>[^|]*)\|(?P<text>(?P<size>\d+)\|.*)")
_SUMMED = re.compile(r"([0-9a-f]{64}) [ *](.*)")


@dataclass(frozen=True, slots=True)
class Mark:
    """What the pod says of a file without reading it.

    Attributes:
        size: bytes.
        text: the whole of it; the same text means the same file with the same content.
    """

    size: int
    text: str


class PodShell:
    """Asks over one connection, one round trip a question. Every method may be called in any thread.

    Where it says *names*, these are names that :func:`~autopod_nb.ssh.content.name_for` made, which no program can
    misread.

    Raises:
        TransferError: every method, when the pod cannot do it, or the transfer is stopped or out of time.
        SshError: every method, when the connection is lost.
    """

    def __init__(self, connection: SshConnection) -> None:
        self._connection = connection

    def enter(
        self, folder: str, names: Sequence[str], parts: Sequence[str], pace: Pace, *, sizes: Iterable[int] = ()
    ) -> tuple[dict[str, Mark], set[int]]:
        """Make the folder if need be, and look for files in it and in its :data:`PARTS`, where old ones are removed.

        Returns:
            Name, or PARTS and name, → mark of what is there; and of the *sizes* those that some file in the folder has.
        """
        asked = [*names, *(f"{PARTS}/{name}" for name in parts)]
        before = f"mkdir -p -- {quote(f'{folder}/{PARTS}')} && cd -- {quote(folder)} && {_FORGET}"
        for size in set(sizes):
            before += f" && find . -maxdepth 1 -type f -size {size}c -exec echo '|{size}' ';'"
        found = self._ask(before, 'named_ "$@" 2>/dev/null; true', asked, pace)
        if found.status != 0:
            raise TransferError(f"Cannot make {folder} on the pod: {found.complaint}")
        return _marks(found), {int(size) for size in re.findall(rb"^\|(\d+)$", found.output, re.MULTILINE)}

    def sums(self, folder: str, names: Sequence[str], pace: Pace) -> dict[str, str]:
        """SHA-256 of files in a folder, by one process. Returns name → hex; what cannot be read is left out."""
        found = self._ask(f"cd -- {quote(folder)}", 'sum_ "$@" 2>/dev/null; true', names, pace)
        lines = map(_SUMMED.fullmatch, found.output.decode(errors="replace").splitlines())
        return {line[2]: line[1] for line in lines if line}

    def sha256_of(self, paths: Sequence[str], pace: Pace) -> dict[str, tuple[str, Mark]]:
        """SHA-256 and mark of files of any name. Returns path → both; files that cannot be read are left out."""
        if not paths:
            return {}
        script = 'for f do echo "|$(mark_ "$f")"; echo "$(sum_ <"$f")"; done 2>/dev/null'
        found = self._ask("true", script, paths, pace)
        lines = found.output.decode(errors="replace").splitlines()
        if len(lines) != 2 * len(paths):
            raise TransferError(f"The pod cannot make SHA-256 sums: {found.complaint}")
        answers = zip(paths, map(_MARKED.fullmatch, lines[::2]), map(_SUMMED.fullmatch, lines[1::2]), strict=True)
        return {path: (summed[1], _mark(marked)) for path, marked, summed in answers if marked and summed}

    def link(self, folder: str, links: Iterable[tuple[str, str, str]], pace: Pace) -> dict[str, Mark]:
        """Give files of the pod another name in *folder*, which is there: by a hard link, else by a copy.

        Args:
            folder: where to.
            links: path, text of its mark, and name; a file that is not as its mark says gets no name.
            pace: of the transfer.

        Returns:
            Name → mark of what is there now.
        """
        script = (
            'if [ "$(mark_ "$1" 2>/dev/null)" = "$2" ]; then ln -f -- "$1" "$3" 2>/dev/null || '
            f'{{ cp -- "$1" {PARTS}/"$3" && mv -f -- {PARTS}/"$3" "$3"; }} && named_ "$3"; fi; true'
        )
        words = [word for link in links for word in link]
        return _marks(self._ask(f"cd -- {quote(folder)}", script, words, pace, at_once=3))

    def place_as(self, folder: str, names: Iterable[tuple[str, str]], pace: Pace) -> dict[str, Mark]:
        """The same as :meth:`place` for parts that get another name: from the first to the second of each two."""
        script = f'mv -f -- {PARTS}/"$1" "$2" && named_ "$2"'
        words = [word for pair in names for word in pair]
        return self._placed(folder, self._ask(f"cd -- {quote(folder)}", script, words, pace, at_once=2))

    def place(self, folder: str, names: Sequence[str], pace: Pace) -> dict[str, Mark]:
        """Rename files from :data:`PARTS` into their folder. Returns name → mark of what lies there now."""
        script = 'mv -f -- "$@" .. && cd .. && named_ "$@"'
        return self._placed(folder, self._ask(f"cd -- {quote(f'{folder}/{PARTS}')}", script, names, pace))

    def _placed(self, folder: str, found: Answer) -> dict[str, Mark]:
        if found.status != 0:
            raise TransferError(f"Cannot place the files in {folder} on the pod: {found.complaint}")
        return _marks(found)

    def remove_parts(self, folder: str, names: Sequence[str], pace: Pace) -> None:
        """Forget what has come of these."""
        self._ask(f"cd -- {quote(f'{folder}/{PARTS}')}", 'rm -f -- "$@"', names, pace)

    def _ask(self, before: str, script: str, words: Sequence[str], pace: Pace, *, at_once: int = 0) -> Answer:
        """Run *script* with the words as its arguments, several times if they are too many for once."""
        data = b"".join(os.fsencode(word) + b"\0" for word in words)
        if at_once or len(data) > _FEW_BYTES:
            xargs = f"xargs -0 -n {at_once}" if at_once else "xargs -0"
            command = f"{before} && {take(len(data))} 2>/dev/null | {xargs} sh -c {quote(SUM + MARK + script)} sh"
        else:  # what a file takes to be asked for is mostly the starting of programs
            command, data = f"{before} && {{ set -- {' '.join(map(quote, words))}\n{script}\n}}", b""
        with lanes_of(self._connection).shell(self._connection, pace.check) as shell:
            return shell.run(command, pace, [(data, 0)] if data else [])


def _marks(answer: Answer) -> dict[str, Mark]:
    lines = map(_MARKED.fullmatch, answer.output.decode(errors="replace").splitlines())
    return {line["name"]: _mark(line) for line in lines if line}


def _mark(line: re.Match[str]) -> Mark:
    return Mark(int(line["size"]), line["text"])
