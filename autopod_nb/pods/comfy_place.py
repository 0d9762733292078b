"""Where ComfyUI is on a pod that nobody has looked at yet, by SSH; it is started there if nobody else does.

Its place is what the settings say, else what the pod's own variables ``AUTOPOD_COMFYUI_DIR`` and
``AUTOPOD_COMFYUI_PORT`` say, else the first of the layouts of known images. An image that starts ComfyUI itself is
given time for it: the first boot of some copies gigabytes before.
"""

from __future__ import annotations

import posixpath
import threading
from dataclasses import dataclass, replace

from autopod_nb.clock import Clock, Deadline
from autopod_nb.errors import BootFailed
from autopod_nb.models.pod import PodAddress
from autopod_nb.ssh.line import SshConnection, quote

_LAYOUTS = (
    "/workspace/runpod-slim/ComfyUI",  # runpod/comfyui
    "/workspace/ComfyUI",
    "/workspace/madapps/ComfyUI",
    "/ComfyUI",
    "/opt/ComfyUI",
    "/root/ComfyUI",
)
_DEFAULT_PORT = 8188
_LOOK_EVERY_S = 2.0
_COMMAND_S = 20.0
START_AFTER_S = 90.0  # for an image's own start script; a guess
# What a command by SSH sees is a bare environment, so the variables are read from their file. A pod on this machine
# keeps that in its own folder, which is its HOME.
_SCRIPT = r"""
wanted=$1; shift
if [ -f "$HOME/environ" ] && [ -f "$HOME/pod.json" ]; then environ=$HOME/environ; else environ=/proc/1/environ; fi
told() { tr '\0' '\n' < "$environ" 2>/dev/null | sed -n "s/^$1=//p" | head -n 1; }
dir=$wanted; port=$(told AUTOPOD_COMFYUI_PORT); state=
if [ -z "$dir" ]; then dir=$(told AUTOPOD_COMFYUI_DIR); [ -n "$dir" ] && [ -n "$port" ] && state=running; fi
if [ -z "$dir" ]; then for each in "$@"; do if [ -f "$each/main.py" ]; then dir=$each; break; fi; done; fi
if [ -z "$state" ] && [ -n "$dir" ]; then
  [ -f "$dir/main.py" ] && state=installed
  for process in /proc/[0-9]*; do
    line=$(tr '\0' ' ' < "$process/cmdline" 2>/dev/null) || continue
    case $line in *main.py*) ;; *) continue ;; esac
    case $line in
      *"$dir/main.py"*) ;;
      *) [ "$(readlink "$process/cwd" 2>/dev/null)" = "$dir" ] || continue ;;
    esac
    state=running
    found=$(printf '%s' "$line" | sed -n 's/.*--port[ =]\([0-9][0-9]*\).*/\1/p')
    [ -n "$found" ] && port=$found
  done
fi
printf '%s\n' "$environ" "$dir" "$port" "$state"
"""
_START = r"""
dir=$1; port=$2; cd "$dir" || exit 1
# What is outside of the persistent mount is wiped when the pod stops, and results must not be.
case $dir in
  /workspace/*) ;;
  *) if [ -d /workspace ] && [ ! -L output ]; then
      rm -f output/_output_images_will_be_put_here
      mkdir -p /workspace/autopod/output
      { [ ! -d output ] || rmdir output; } && ln -s /workspace/autopod/output output
    fi ;;
esac
for python in "$dir/.venv/bin/python" "$dir/venv/bin/python" "$dir/../.venv/bin/python" "$dir/../venv/bin/python"; do
  [ -x "$python" ] && break
  python=python3
done
setsid nohup "$python" main.py --listen 127.0.0.1 --port "$port" --disable-auto-launch \
  >> "$dir/comfyui.log" 2>&1 < /dev/null &
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    environ_path: str
    folder: str
    port: int | None
    running: bool
    installed: bool


def place_comfyui(
    connection: SshConnection,
    address: PodAddress,
    *,
    wanted_dir: str | None,
    wanted_port: int | None,
    deadline: Deadline,
    clock: Clock,
    abort: threading.Event,
    start_after_s: float = START_AFTER_S,
) -> PodAddress:
    """Find out where ComfyUI is, and start it if it does not run.

    Args:
        connection: to the pod.
        address: as far as it is known.
        wanted_dir: its folder by the settings, None to look for it.
        wanted_port: its port by the settings, None to find out.
        deadline: for all of it.
        clock: the time.
        abort: set when the pod is being ended.
        start_after_s: how long the image's own start script is waited for.

    Returns:
        The address with folder, port and the file of the pod's variables.

    Raises:
        BootFailed: there is no ComfyUI, or the pod is being ended.
        SshError: the line is lost.
    """
    if address.comfyui_port and address.comfyui_dir:
        return address
    patience = Deadline(clock, start_after_s)
    while True:
        found = _look(connection, wanted_dir)
        port = wanted_port or found.port or _DEFAULT_PORT
        if found.installed and not found.running and patience.passed:
            start = f"sh -s -- {quote(found.folder)} {port}"
            connection.run(start, _COMMAND_S, stdin=_START.encode())
        elif not found.running:
            if deadline.passed:
                raise BootFailed(_nowhere(wanted_dir))
            if clock.wait(abort, _LOOK_EVERY_S):
                raise BootFailed("it is being ended")
            continue
        return replace(address, comfyui_port=port, comfyui_dir=found.folder, environ_path=found.environ_path)


def _nowhere(wanted_dir: str | None) -> str:
    looked = wanted_dir or ", ".join(_LAYOUTS)
    return (
        f"there is no ComfyUI on it (looked in {looked}): use an image that has one, or name its folder with"
        " `%autopod config set providers.runpod.comfyui_dir FOLDER`"
    )


def _look(connection: SshConnection, wanted_dir: str | None) -> _Found:
    words = " ".join(quote(word) for word in (wanted_dir or "", *_LAYOUTS))
    done = connection.run(f"sh -s -- {words}", _COMMAND_S, stdin=_SCRIPT.encode())
    lines = [*done.stdout.decode(errors="surrogateescape").split("\n"), "", "", "", ""]
    environ_path, folder, port, state = lines[:4]
    return _Found(
        environ_path=environ_path or "/proc/1/environ",
        folder=posixpath.normpath(folder) if folder else "",
        port=int(port) if port.isdecimal() and 0 < int(port) < 65536 else None,
        running=state == "running",
        installed=state == "installed",
    )
