"""Which addresses of ComfyUI's page are named where."""

from __future__ import annotations

from autopod_nb.magics.gui import ways
from autopod_nb.magics.jupyter import FrontEnd


def said(place: FrontEnd, base: str | None) -> str:
    return "\n".join(f"{line.text} {line.link}".strip() for line in ways(8188, place, base))


def test_in_jupyter_there_is_a_direct_link_and_one_below_the_servers_path() -> None:
    text = said(FrontEnd.JUPYTER, "/user/joe/")
    assert "Directly: http://127.0.0.1:8188/" in text
    assert "through the Jupyter server: /user/joe/proxy/8188/" in text
    assert "jupyter-server-proxy" in text


def test_without_a_known_server_only_the_direct_link_is_named() -> None:
    assert "proxy" not in said(FrontEnd.JUPYTER, None)


def test_in_vs_code_the_port_is_to_be_forwarded_and_in_colab_a_window_is_opened() -> None:
    assert "forward that port" in said(FrontEnd.VSCODE, None)
    colab = said(FrontEnd.COLAB, None)
    assert "serve_kernel_port_as_window(8188)" in colab
    assert "127.0.0.1" not in colab


def test_everywhere_it_is_said_that_the_login_may_travel() -> None:
    assert all("Jupyter login" in said(place, "/") for place in FrontEnd)
