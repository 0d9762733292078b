"""A shell on the pod that runs one command after the other.

A command of its own costs two round trips, and on many images some tenths of a second besides, for their ``.bashrc``
sets up conda or the like each time. A shell that stays costs one round trip.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from autopod_nb.errors import SshError, TransferError
from autopod_nb.ssh.line import SshConnection, quote
from autopod_nb.ssh.pace import Pace
from autopod_nb.ssh.stream import read, write

BLOCK_BYTES = 64 << 10
"""Of what is copied on the pod, and where stretches of a file begin."""

# openssl is several times as fast as coreutils' own; macOS has only shasum
SUM = (
    'if openssl dgst -sha256 -r </dev/null >/dev/null 2>&1; then sum_() { openssl dgst -sha256 -r "$@"; }; '
    'elif command -v sha256sum >/dev/null; then sum_() { sha256sum "$@"; }; '
    'else sum_() { shasum -a 256 "$@"; }; fi; '
)
"""Words that make ``sum_``: SHA-256 of files, a line each."""

MARK = (
    "if stat -c %n / >/dev/null 2>&1; then "
    "named_() { stat -c '%n|%s|%i %y' -- \"$@\"; }; mark_() { stat -c '%s|%i %y' -- \"$1\"; }; else "
    "named_() { stat -f '%N|%z|%i %Fm' -- \"$@\"; }; mark_() { stat -f '%z|%i %Fm' -- \"$1\"; }; fi; "
)
"""Words that make ``named_`` and ``mark_``, which tell by what a file is known to be as it was: size, inode, time of
change; with and without its name."""

# Copies so many bytes of the input to the output and takes no byte more. ``head -c`` will not do, for busybox's does;
# old versions of macOS have a dd without fullblock, but perl.
_TAKE = (
    f"block={BLOCK_BYTES}; if dd if=/dev/null iflag=fullblock count=0 2>/dev/null; then take_() {{ "
    "if [ $(($1 / block)) != 0 ]; then dd bs=$block count=$(($1 / block)) iflag=fullblock || return; fi; "
    "if [ $(($1 % block)) != 0 ]; then dd bs=$(($1 % block)) count=1 iflag=fullblock; fi; }; else take_() { "
    "perl -e '($n, $block) = @ARGV; while ($n > 0) { $r = sysread(STDIN, $b, $n < $block ? $n : $block) or last; "
    'syswrite(STDOUT, $b, $r) == $r or die "$!\\n"; $n -= $r }\' "$1" $block; }; fi; '
)
# Writes the rest of a stretch of a file from the input, and prints the SHA-256 of the whole stretch. Where there is
# Python one process does both at once, and makes the pipe as long as Linux allows (1031, F_SETPIPE_SZ), so that who
# decrypts need not wait for it after each 64 KiB; else what was written is read again.
_PUT_PROGRAM = """
import fcntl, hashlib, os, queue, sys, threading
start, arrived, length = map(int, sys.argv[2:])
try:
    fcntl.fcntl(0, 1031, 1 << 20)
except OSError:
    pass
file, digest, blocks = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o666), hashlib.sha256(), queue.Queue(8)
def take(source, left):
    while left:
        data = os.read(source, min(left, 1 << 18))
        if not data and source == 0:
            sys.exit("the input ended too soon")
        data = data or bytes(os.write(file, bytes(min(left, 1 << 18))))  # zeros that have not come yet
        left -= len(data)
        blocks.put(data)
        yield data
def count():
    while data := blocks.get():
        digest.update(data)
counting = threading.Thread(target=count, daemon=True)
counting.start()
try:
    os.lseek(file, start, os.SEEK_SET)
    for data in take(file, arrived):
        pass
    for data in take(0, length - arrived):
        while data:
            data = data[os.write(file, data):]
except OSError as error:
    sys.exit(error.strerror)
blocks.put(b"")
counting.join()
print(digest.hexdigest())
"""
_PUT = (
    'python=$(python3 -I -S -c "import sys; print(sys.executable)" 2>/dev/null); '  # itself, and no wrapper of it
    'if [ -n "$python" ]; then put_() { '
    f'"$python" -I -S -c {quote(_PUT_PROGRAM)} "$@"; }}; else put_() {{ '
    "{ dd bs=$block seek=$((($2 + $3) / block)) count=0 conv=notrunc </dev/null && take_ $(($4 - $3)); } "
    '1<>"$1" && stretch_ "$1" "$2" "$4" | sum_; }; fi; '
)
_STRETCH = 'stretch_() { dd if="$1" bs=$block skip=$(($2 / block)) count=$((($3 + block - 1) / block)) 2>/dev/null; }; '
_TOOLS = _TAKE + SUM + MARK + _STRETCH + _PUT
# Reads ``TOKEN LENGTH``, the command, and what the command itself reads, which must be all that was announced to it.
# After a command that failed nobody knows where the next one begins, so that is the end; the token is one more guard.
_LOOP = _TOOLS + (
    'printf "\\n%s ready\\n" TOKEN; while read -r token length && [ "$token" = TOKEN ]; do '
    '(eval "$(take_ "$length" 2>/dev/null)") 2>&1; status=$?; '
    'printf "\\n%s %s\\n" "$token" "$status"; [ "$status" = 0 ] || exit; done'
)
_DD_REPORT = re.compile(r" records (in|out)$| copied[ ,]| bytes transferred ")


def put(name: str, start: int, arrived: int, length: int) -> str:
    """Words that write the rest of a stretch of a file from the shell's input, and print the SHA-256 of the stretch.

    Args:
        name: of the file, which is made if it is not there and may have any length before.
        start: byte in the file, a multiple of :data:`BLOCK_BYTES`.
        arrived: bytes of the stretch that are there already, a multiple of it, too.
        length: bytes of the stretch.
    """
    return f"put_ {quote(name)} {start} {arrived} {length}"


def stretch(name: str, start: int, length: int) -> str:
    """Words that print a stretch of a file, up to the end of its last block."""
    return f"stretch_ {quote(name)} {start} {length}"


def take(count: int) -> str:
    """Words that copy exactly *count* bytes of the shell's input to the output."""
    return f"take_ {count}"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended.

    Attributes:
        status: 0 if it did what it should.
        output: what it said, complaints included.
    """

    status: int
    output: bytes

    @property
    def complaint(self) -> str:
        """What it said, in one line, without what dd says when all is well."""
        lines = self.output.decode(errors="replace").splitlines()
        return " ".join(line for line in lines if line and not _DD_REPORT.search(line))[:200]


class Shell:
    """One shell. For one thread at a time.

    Raises:
        SshError: no channel, or the connection is lost.
    """

    def __init__(self, connection: SshConnection) -> None:
        self._token = secrets.token_hex(8)
        self._channel = connection.start(f"exec sh -c {quote(_LOOP.replace('TOKEN', self._token))}")
        self._greeting = f"\n{self._token} ready\n".encode()  # before it the pod's .bashrc may say what it likes
        self._in_step = True

    @property
    def usable(self) -> bool:
        """Whether it can run another command."""
        return self._in_step and not (self._channel.closed or self._channel.eof_received)

    def run(self, command: str, pace: Pace, blocks: Iterable[tuple[bytes, int]] = ()) -> Answer:
        """Run a command in a subshell.

        Args:
            command: for ``sh``; it must read all the blocks and no byte more, as :func:`take` does.
            pace: of the transfer that it belongs to.
            blocks: what it reads, each with the bytes of progress that it makes.

        Raises:
            TransferError: stopped, or out of time; the shell can run no other command then.
            TimeoutError: nobody read for a minute.
            SshError: the connection is lost.
        """
        self._in_step = False
        words = command.encode(errors="surrogateescape")
        reads = write(self._channel, f"{self._token} {len(words)}\n".encode() + words, pace)
        for data, count in blocks if reads else ():
            if not write(self._channel, data, pace):
                break  # it ended before it read everything: its status says why
            pace.step(count)
        answer = self._answer(pace)
        self._in_step = answer.status == 0
        return answer

    def _answer(self, pace: Pace) -> Answer:
        output = bytearray()
        mark = f"\n{self._token} ".encode()
        while True:
            data = read(self._channel, pace)
            output += data
            if self._greeting and self._greeting in output:
                output, self._greeting = output.partition(self._greeting)[2], b""
            at = output.rfind(mark)
            if not self._greeting and at >= 0 and output.endswith(b"\n"):
                return Answer(int(output[at + len(mark) :]), bytes(output[:at]))
            if not data:
                break
        if not self._channel.get_transport().is_active():
            raise SshError("The SSH connection was lost while files were on their way; try again.")
        raise TransferError(f"The pod's shell ended: {Answer(1, bytes(output)).complaint or 'nobody knows why'}.")

    def close(self) -> None:
        """End it, and what it runs."""
        with contextlib.suppress(OSError, EOFError):
            self._channel.close()
