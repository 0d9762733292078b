"""``python -m autopod_nb.localpod``: a pod on this machine, with an SSH server and ComfyUI on loopback."""

from __future__ import annotations

import argparse
import logging
import math
import shlex
import sys
from pathlib import Path

from autopod_nb.localpod.comfy_install import find_install
from autopod_nb.localpod.failure import StartFailed
from autopod_nb.localpod.pod import PodPlan, run_pod

_LEASE_S = 15.0


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _public_key(text: str) -> str:
    try:
        line = text if text.startswith(("ssh-", "ecdsa-", "sk-")) else Path(text).read_text()
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"cannot read the public key {text!r}: {error}") from error
    return line.strip()


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return value


def _shell_words(text: str) -> str:
    try:
        shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be taken apart: {error}") from error
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m autopod_nb.localpod", description=__doc__, allow_abbrev=False)
    parser.add_argument("--dir", type=Path, required=True, help="the pod's folder; kept when the pod ends")
    parser.add_argument("--name", default="localpod")
    parser.add_argument("--gpu", default="RTX A5000", help="name of the GPU that it claims to have")
    parser.add_argument("--gpu-count", type=int, default=1)
    parser.add_argument("--vram-gb", type=_seconds, default=24.0, help="memory of one GPU")
    parser.add_argument("--public-key", type=_public_key, required=True, help="a file, or the line itself")
    parser.add_argument("--env", type=_variable, action="append", default=[], help="NAME=VALUE of the pod")
    life = parser.add_mutually_exclusive_group(required=True)
    life.add_argument("--lease", type=Path, help="a file that its owner renews; unchanged for long, the pod ends")
    life.add_argument("--parent", type=int, help="the pod ends with this process")
    parser.add_argument("--lease-seconds", type=_seconds, default=_LEASE_S)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--comfyui-port", type=int, help="forward to this port and start no ComfyUI")
    which.add_argument("--comfyui-dir", type=Path, help="start the main.py of this folder, not the built-in ComfyUI")
    parser.add_argument("--comfyui-python", help="runs it; else that of DIR/venv or DIR/.venv, or this one")
    parser.add_argument(
        "--comfyui-args",
        type=_shell_words,
        help="what it gets beside the pod's own flags, as --comfyui-args='...'; else --cpu where there is no GPU",
    )
    return parser


def _plan(arguments: argparse.Namespace, pod_dir: Path) -> PodPlan:
    install = None
    if arguments.comfyui_dir is not None:
        install = find_install(arguments.comfyui_dir, arguments.comfyui_python, arguments.comfyui_args)
    return PodPlan(
        pod_dir=pod_dir,
        name=arguments.name,
        gpu=arguments.gpu,
        gpu_count=arguments.gpu_count,
        vram_gb=arguments.vram_gb,
        public_key=arguments.public_key,
        variables=dict(arguments.env),
        lease=arguments.lease,
        lease_s=arguments.lease_seconds,
        parent=arguments.parent,
        comfyui_port=arguments.comfyui_port,
        install=install,
    )


def main() -> int:
    """Run a pod. Returns the exit status: 0 after a life, 1 when it could not come up."""
    arguments = _parser().parse_args()
    arguments.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    pod_dir = arguments.dir.resolve()  # without links, so that one file has one name
    logging.basicConfig(
        filename=pod_dir / "pod.log", level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    try:
        run_pod(_plan(arguments, pod_dir))
    except StartFailed as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 - its text is all that there is to know
        sys.stderr.write(f"localpod: {error}\n")
        return 1
    except Exception as error:  # the last stop: logged whole, and one line for who started it
        logging.getLogger(__name__).exception("could not go on")
        sys.stderr.write(f"localpod: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
