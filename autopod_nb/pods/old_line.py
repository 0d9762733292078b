"""Ends what an earlier line to a pod has left there, so that nothing that hung in it can arrive any more.

A line can fall silent and come to life again much later, with all that was on its way: a workflow, say, that was
posted anew meanwhile and would be rendered twice. So each line leaves a note on the pod which process of the SSH
server serves it, and the next one kills that process before anything else goes over it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from autopod_nb.clock import Clock
from autopod_nb.errors import SshError
from autopod_nb.ssh.line import SshConnection, quote

_log = logging.getLogger(__name__)

_WITHIN_S = 6.0
_UNSURE_S = 10.0  # what hangs in a line that cannot be ended has arrived by then, if it ever does; a guess

# The process is our session leader's parent, as OpenSSH begins a session for each command; a server that has no
# process for each connection names one in AUTOPOD_SSH_PID. The moment of its start tells it from one that has its
# number later. Notes that nobody renewed for a month are of pods that are long gone.
_SCRIPT = r"""
stat_of() { read -r line < "/proc/$1/stat" && set -- ${line##*) } && echo "$1 $2 $4 ${20}"; } 2>/dev/null
folder=$HOME/.autopod-lines; file=$folder/$1; owner=$2; take=$3
me=$AUTOPOD_SSH_PID
if [ -z "$me" ]; then
  set -- $(stat_of $$); set -- $(stat_of "$3"); me=$2
  read -r name 2>/dev/null < "/proc/$me/comm"
  case $name in sshd*|dropbear*) ;; *) echo unknown; exit ;; esac
fi
set -- $(stat_of "$me"); mine="$me $4"
[ -n "$4" ] || { echo unknown; exit; }
old= began= whose=
[ -f "$file" ] && read -r old began whose < "$file"
if [ -n "$old" ] && [ "$old $began" != "$mine" ]; then
  tries=0
  while set -- $(stat_of "$old"); [ "$4" = "$began" ]; do
    [ $tries = 0 ] && [ "$whose" != "$owner" ] && [ "$take" = no ] && { echo taken; exit; }
    [ "$1" = Z ] && [ $tries -gt 9 ] && break
    [ $tries -gt 40 ] && { echo refused; exit; }
    if ! kill -9 "$old" 2>/dev/null; then  # it is not ours, or it has ended just now
      set -- $(stat_of "$old"); [ "$4" = "$began" ] && [ "$1" != Z ] && { echo refused; exit; }
    fi
    tries=$((tries + 1)); sleep 0.02 2>/dev/null || sleep 1
  done
fi
umask 077
mkdir -p "$folder" 2>/dev/null
find "$folder" -type f -mtime +30 -exec rm -f {} + 2>/dev/null
{ echo "$mine $owner" > "$file.$$" && mv -f "$file.$$" "$file"; } 2>/dev/null || { echo unknown; exit; }
echo ended
"""


class Earlier(Enum):
    """What became of the earlier line: ended; another owner has it; it cannot be ended; nobody knows which it was."""

    ENDED = "ended"
    TAKEN = "taken"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineName:
    """Whose line it is.

    Attributes:
        pod_id: ours, without a slash; lines to the same machine under other ids are left alone.
        owner: the process whose line it is, a word without blanks.
    """

    pod_id: str
    owner: str


def make_way(
    connection: SshConnection,
    name: LineName,
    *,
    first: bool,
    take: bool,
    clock: Clock,
    abort: threading.Event,
    tell: Callable[[str], None],
) -> None:
    """Return when nothing can come any more over the line that the pod had before.

    Where its server is none of those that can be told to end it, wait for what may still come; that is no certainty,
    and whoever looks for a prompt before posting it anew looks after that.

    Args:
        connection: the new line.
        name: whose it is.
        first: the pod had none before.
        take: also one of another owner.
        clock: the time.
        abort: ends the wait.
        tell: called with what the matter is, where it waits.

    Raises:
        SshError: the new line is lost, or another owner has the pod and not *take*.
    """
    found = end_earlier(connection, name, take=take)
    if found is Earlier.TAKEN:
        raise SshError("Another process has a line to this pod: it has taken it over.")
    if found is Earlier.ENDED or first:
        return
    text = f"The pod's SSH server cannot end the line that was lost ({found.value})"
    _log.warning("%s: what was on its way may still come", text)
    tell(f"{text}: waiting {_UNSURE_S:g} s for what was on its way, before anything is posted again.")
    clock.wait(abort, _UNSURE_S)


def end_earlier(connection: SshConnection, name: LineName, *, take: bool) -> Earlier:
    """End the line that this pod had before, and leave a note for the next.

    Args:
        connection: the new one, over which nothing else went yet.
        name: whose it is.
        take: also one of another owner; else TAKEN is the answer when there is one.

    Returns:
        ENDED if there is none any more; REFUSED if it cannot be ended, UNKNOWN if nobody knows which it was.

    Raises:
        SshError: the new line is lost.
    """
    words = f"{quote(name.pod_id)} {quote(name.owner)} {'yes' if take else 'no'}"
    try:
        said = connection.run(f"sh -s {words}", _WITHIN_S, stdin=_SCRIPT.encode()).stdout.decode(errors="replace")
    except SshError:
        if not connection.alive:
            raise
        return Earlier.UNKNOWN  # it runs no commands
    try:
        return Earlier(said.strip())
    except ValueError:
        return Earlier.UNKNOWN
