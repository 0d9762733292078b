"""The verb ``gui``: where ComfyUI's own page is, seen from the browser, and what works where."""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autopod_nb.errors import UsageError
from autopod_nb.magics.jupyter import FrontEnd, base_url, front_end
from autopod_nb.magics.session import running_session
from autopod_nb.magics.text import Page
from autopod_nb.widgets import card, words

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session


@dataclass(frozen=True, slots=True)
class _Line:
    """A line, with a link at its end if there is one."""

    text: str
    link: str = ""


_SAME = "It works where the browser runs on the same machine as this Python."
_FORWARD = "In a remote window (SSH, WSL, container), forward that port first, in the tab Ports."
_LOGIN = "The browser may send its Jupyter login along: open ComfyUI only on pods that you trust."


@dataclass(frozen=True, slots=True)
class Gui:
    """ComfyUI of a pod that is to be shown.

    Attributes:
        session: whose pod it is.
        pod_id: which one; it has a tunnel.
        page: the ways to it in words.
    """

    session: Session
    pod_id: str
    page: Page


def gui(args: Namespace) -> Gui:
    """ComfyUI of a pod: a frame where widgets live, and the ways to it in words."""
    session = running_session()
    pod = session.pick_pod(args.pod)
    if pod.local_port is None:
        raise UsageError(f"Pod {pod.pod_id} has no tunnel yet ({words.pod_state(pod)}): `%autopod wait` waits for it.")
    lines = ways(pod.local_port, front_end(os.environ), base_url(os.environ))
    title = f"ComfyUI of pod {pod.pod_id}"
    text = "\n".join([title, *(f"  {line.text} {line.link}".rstrip() for line in lines)])
    page = Page(text, card.section(title, [f"<div><b>{card.safe(title)}</b></div>", *map(_html, lines)]))
    return Gui(session, pod.pod_id, page)


def ways(port: int, place: FrontEnd, base: str | None) -> list[_Line]:
    """How to open it.

    Args:
        port: of the tunnel, on the machine of this Python.
        place: what shows the notebook.
        base: path of the Jupyter server, None if unknown.
    """
    if place is FrontEnd.COLAB:
        call = f"from google.colab import output; output.serve_kernel_port_as_window({port})"
        return [_Line(f"In Colab, run `{call}`."), _Line(_LOGIN)]
    lines = [_Line("Directly:", f"http://127.0.0.1:{port}/"), _Line(_FORWARD if place is FrontEnd.VSCODE else _SAME)]
    if base is not None:
        lines.append(_Line("From elsewhere, through the Jupyter server:", f"{base}proxy/{port}/"))
        lines.append(_Line("That wants jupyter-server-proxy in the server's environment, and this notebook's page."))
    return [*lines, _Line(_LOGIN)]


def _html(line: _Line) -> str:
    if not line.link:
        return card.text_line(line.text, card.QUIET)
    target = card.label(line.link)
    link = f'<a href="{target}" target="_blank" rel="noopener noreferrer">{card.safe(line.link)}</a>'
    return f"<div>{card.safe(line.text)} {link}</div>"
