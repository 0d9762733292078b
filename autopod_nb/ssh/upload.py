"""What of some files is on the pod already, and the rest on its way there."""

from __future__ import annotations

import contextlib
import posixpath
import threading
from collections.abc import Mapping, Sequence
from functools import partial

from autopod_nb.errors import TransferError
from autopod_nb.ssh.content import Content
from autopod_nb.ssh.lanes import lanes_of
from autopod_nb.ssh.line import SshConnection
from autopod_nb.ssh.pace import Pace
from autopod_nb.ssh.pod_index import PodIndex
from autopod_nb.ssh.pod_shell import PARTS, Mark, PodShell
from autopod_nb.ssh.send_plan import is_small, part_of, plan
from autopod_nb.ssh.sending import Sending
from autopod_nb.threads import ServiceThread

_SOURCES_TRIED = 3
_JOIN_S = 20.0
_FAR_S = 0.01  # there and back: what OpenSSH lets be on its way in one channel does 200 MiB/s then

Wanted = Mapping[str, Content]
"""Name on the pod → what is to be there."""


class Upload:
    """Brings files into one folder of the pod.

    Args:
        connection: to the pod.
        index: what is known of its files.
        folder: absolute.
        pace: of all of it.
    """

    def __init__(self, connection: SshConnection, index: PodIndex, folder: str, pace: Pace) -> None:
        self._connection = connection
        self._shell = PodShell(connection)
        self._index = index
        self._folder = folder
        self._pace = pace
        self._divided = True

    def run(self, contents: Sequence[Content]) -> None:
        """Bring these.

        Raises:
            TransferError, SshError: as :meth:`~autopod_nb.ssh.transfer.PodFiles.upload_all`.
        """
        unread = {each.mark: each for each in contents if not (is_small(each) or each.is_read)}
        lanes = lanes_of(self._connection)
        self._divided = not all(map(is_small, contents)) and lanes.delay_s(self._connection, self._pace) > _FAR_S
        turn = lanes.turn
        with turn([self._path(mark) for mark in unread], self._pace.check):
            early = {mark: each for mark, each in unread.items() if not each.is_read}  # somebody else may have read it
            laid = self._send_early(early) if early else set()
            for each in contents:
                each.read(self._pace.check)
            wanted = {each.name: each for each in contents}
            if wanted:
                with turn([self._path(name) for name in wanted], self._pace.check):
                    self._pace.step(self._pace.size - sum(each.size for each in wanted.values()))
                    self._bring(wanted, laid)

    def _send_early(self, unread: Mapping[str, Content]) -> set[str]:
        """Send large files while they are read, if they are so large as none that is on the pod.

        Returns:
            Parts that are whole now.
        """
        sizes = {each.size for each in unread.values()}
        marks, there = self._shell.enter(self._folder, [], list(unread), self._pace, sizes=sizes)
        new = [each for each in unread.values() if not (each.size in there or self._index.has_size(each.size))]
        readers = [ServiceThread("autopod-read", partial(self._read, each)).start() for each in new]
        try:
            self._send(new, marks)
        finally:
            for reader in readers:
                reader.join(_JOIN_S)
        return {each.mark for each in new}

    def _bring(self, wanted: Wanted, laid: set[str]) -> None:
        """Bring these, of which nobody else brings any meanwhile; some parts are whole already."""
        parts = [part_of(each) for each in wanted.values()]
        marks, _ = self._shell.enter(self._folder, list(wanted), parts, self._pace)
        missing = self._link(self._missing(wanted, marks))
        first = {each.sha256: name for name, each in reversed(missing.items())}
        sent = {name: missing[name] for name in first.values()}
        self._pace.step(sum(each.size for name, each in wanted.items() if name not in sent and each.mark not in laid))
        left = [each for each in sent.values() if each.mark not in laid]
        self._send(left, marks)
        self._verify([each for each in left if is_small(each)])
        if sent:
            self._place(sent)
        if needless := laid - {each.mark for each in sent.values()}:
            self._shell.remove_parts(self._folder, list(needless), self._pace)
        if twins := self._link({name: each for name, each in missing.items() if name not in sent}):
            raise TransferError(f"{', '.join(twins)} cannot be copied on the pod; is its disk full?")

    def _missing(self, wanted: Wanted, marks: Mapping[str, Mark]) -> dict[str, Content]:
        """What does not lie there. A file that is as it was when it was hashed is not read again."""
        known = {name: self._index.sha256_of(self._path(name), marks[name].text) for name in wanted if name in marks}
        unknown = [name for name, sha256 in known.items() if sha256 is None and marks[name].size == wanted[name].size]
        found = self._shell.sums(self._folder, unknown, self._pace) if unknown else {}
        for name, sha256 in found.items():
            self._index.learn(self._path(name), sha256, marks[name].text)
        known.update(found)
        return {name: each for name, each in wanted.items() if known.get(name) != each.sha256}

    def _link(self, wanted: Wanted) -> dict[str, Content]:
        """Give files that are elsewhere on the pod another name here. Returns what is nowhere."""
        links = [
            (path, mark, name)
            for name, each in wanted.items()
            for path, mark in list(self._index.places_of(each.sha256).items())[-_SOURCES_TRIED:]
            if path != self._path(name)
        ]
        found = self._shell.link(self._folder, links, self._pace) if links else {}
        for name, mark in found.items():
            self._index.learn(self._path(name), wanted[name].sha256, mark.text)
        return {name: each for name, each in wanted.items() if name not in found}

    def _send(self, contents: Sequence[Content], marks: Mapping[str, Mark]) -> None:
        """Have these in the parts, of which *marks* tell what is there."""
        parts = {
            part: (mark.size, each) for each in contents if (mark := marks.get(f"{PARTS}/{(part := part_of(each))}"))
        }
        if too_long := [part for part, (size, each) in parts.items() if size > each.size]:
            self._shell.remove_parts(self._folder, too_long, self._pace)
        whole = [each for size, each in parts.values() if size == each.size and is_small(each)]
        self._pace.step(sum(each.size for each in whole))
        begun = frozenset(part for part, (size, each) in parts.items() if 0 < size <= each.size)
        tasks = plan([each for each in contents if each not in whole], begun, divided=self._divided)
        Sending(self._connection, self._folder, self._pace).run(tasks)
        for each in contents:
            each.check()

    def _verify(self, contents: Sequence[Content]) -> None:
        """Have the pod hash small files in the parts, all by one command; what is not right is sent once more."""
        for last in (False, True):
            names = [each.name for each in contents]
            sums = self._shell.sums(f"{self._folder}/{PARTS}", names, self._pace) if names else {}
            contents = [each for each in contents if sums.get(each.name) != each.sha256]
            if contents and last:
                raise TransferError(f"{contents[0].path.name} arrived damaged on the pod twice; is its disk all right?")
            if contents:  # what was there was no beginning of it, or it was damaged
                self._shell.remove_parts(self._folder, [each.name for each in contents], self._pace)
                self._pace.step(-sum(each.size for each in contents))
                self._send(contents, {})

    def _place(self, sent: Wanted) -> None:
        marks: dict[str, Mark] = {}
        if small := [name for name, each in sent.items() if is_small(each)]:
            marks |= self._shell.place(self._folder, small, self._pace)
        if large := [(each.mark, name) for name, each in sent.items() if not is_small(each)]:
            marks |= self._shell.place_as(self._folder, large, self._pace)
        for name, each in sent.items():
            if name not in marks or marks[name].size != each.size:
                raise TransferError(f"{each.path.name} is not whole on the pod; try again.")
            self._index.learn(self._path(name), each.sha256, marks[name].text)

    def _path(self, place: str) -> str:
        return posixpath.join(self._folder, place)

    def _read(self, content: Content, _: threading.Event) -> None:
        with contextlib.suppress(TransferError):  # whoever asks next is told
            content.read(self._pace.check)
