"""What a pod gets of the browser that shows its ComfyUI: no cookie, no login, no token, and no address of ours."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.browser import recording_comfy
from tests.browser.cells import LOAD
from tests.browser.opened import BOTH, Opener
from tests.browser.page import Notebook
from tests.browser.recording_comfy import Request, read_record

_SECRETS = {"planted": "SECRETcookie0123456789", "session": "SECRETsession0123456789"}
_TOKEN, _XSRF = "SECRETtoken0123456789", "SECRETxsrf0123456789"
_NOT_FOR_PODS = {"cookie", "authorization", "proxy-authorization", "x-xsrftoken", "x-autopod-token", "referer",
                 "origin", "forwarded"}  # fmt: skip
_ASK = """async ([token, xsrf]) => {
  const headers = {'Authorization': `token ${token}`, 'X-XSRFToken': xsrf, 'X-Autopod-Token': token};
  const got = await fetch('api/queue?asked=get', {credentials: 'include', headers});
  const form = new FormData();
  form.append('image', new Blob(['x']), 'x.bin');
  const put = await fetch('api/upload/image?asked=post', {method: 'POST', credentials: 'include', headers, body: form});
  return [got.status, put.status];
}"""
_PREFIX = (
    "next(iter(__import__('autopod_nb.session.build', fromlist=['']).current_session().gui._proxies.values())).prefix"
)


@pytest.fixture
def record(nb: Opener) -> Path:
    """Pods of these notebooks keep what they are asked, in this folder."""
    folder = nb.lab.folder / f"comfy-{nb.name}"
    folder.mkdir()
    shutil.copy(recording_comfy.__file__, folder / "main.py")
    nb.environ |= {"AUTOPOD_COMFYUI_DIR": str(folder), "AUTOPOD_COMFYUI_PYTHON": sys.executable}
    return folder


def plant(page: Notebook) -> None:
    """Give the browser cookies of the notebook's host, beside the login of its Jupyter server."""
    origins = {page.lab.url, "http://127.0.0.1/", "http://localhost/"}
    cookies = [{"name": name, "value": value, "url": url} for name, value in _SECRETS.items() for url in origins]
    page.page.context.add_cookies(cookies)  # type: ignore[arg-type] # plain dicts will do
    names = {cookie.get("name", "") for cookie in page.page.context.cookies()}
    assert "_xsrf" in names
    assert any(name.startswith("username-") for name in names), "the login"


def secrets_of(page: Notebook) -> set[str]:
    """All that must not be in any request to a pod."""
    cookies = {cookie.get("value", "") for cookie in page.page.context.cookies()}
    prefix: str = page.ask(_PREFIX).strip("/")
    assert len(prefix) > 20
    return {*cookies, *_SECRETS.values(), _TOKEN, _XSRF, page.lab.token, prefix}


def frame_of(page: Notebook, at: int) -> Frame:
    """ComfyUI's page below a cell, once its socket is open."""
    expect(page.output(at).frame_locator("iframe").get_by_text("connected")).to_be_visible()
    handle = page.output(at).locator("iframe").element_handle()
    assert handle is not None
    frame = handle.content_frame()
    assert frame is not None
    return frame


def since(folder: Path, count: int) -> list[Request]:
    """What the pod was asked since it had been asked so often."""
    return read_record(folder)[count:]


def assert_clean(requests: list[Request], secrets: set[str]) -> None:
    """The page, its socket and what it asked came to the pod, and nothing of ours with them."""
    paths = [urlsplit(request.path).path for request in requests]
    assert "/" in paths
    assert any(request.is_socket and "clientId=" in request.path for request in requests)
    assert [word for word in ("asked=get", "asked=post") if not any(word in each.path for each in requests)] == []
    assert [each for each in requests for secret in secrets if secret in each.text] == []
    names = {name for request in requests for name, _ in request.fields}
    assert names & _NOT_FOR_PODS == set()
    assert [name for name in names if name.startswith(("x-forwarded", "sec-fetch"))] == []
    assert [each.text for each in requests if "/user/joe" in each.text] == []


def block_direct(page: Notebook) -> None:
    """From now on the browser reaches nothing of the kernel's machine but the Jupyter server, as from elsewhere."""
    port = urlsplit(page.lab.url).port
    page.page.route(re.compile(rf"^http://[^/]*:(?!{port}/)"), lambda route: route.abort())


@pytest.mark.slow
@pytest.mark.parametrize("base_url", ["/", "/user/joe/"])
@pytest.mark.parametrize("ipykernel", BOTH)
def test_no_cookie_and_no_token_of_the_notebook_reaches_a_pod_whose_comfyui_is_shown(nb: Opener, record: Path) -> None:
    page = nb(LOAD, "%autopod connect", "%autopod gui")
    assert page.run(0)
    assert page.run(1)
    expect(page.output(1).get_by_text("● ready")).to_be_visible()
    plant(page)

    before = len(read_record(record))
    assert page.run(2), page.outputs(2)
    frame = frame_of(page, 2)
    assert frame.evaluate(_ASK, [_TOKEN, _XSRF]) == [200, 200]
    assert "/proxy/" not in frame.url
    assert_clean(since(record, before), secrets_of(page))

    before = len(read_record(record))
    block_direct(page)
    page.button("Open ComfyUI", 1).click()
    expect(page.output(1)).to_contain_text("through the Jupyter server")
    frame = frame_of(page, 1)
    assert frame.evaluate(_ASK, [_TOKEN, _XSRF]) == [200, 200]
    assert f"{page.lab.url}proxy/" in frame.url
    assert_clean(since(record, before), secrets_of(page))
    assert [each for each in page.errors if "ERR_FAILED" not in each] == []

    _control(page, record)


def _control(page: Notebook, record: Path) -> None:
    """Asked without our proxy, the same pod does get them: the record would have shown it."""
    found = re.search(r"ComfyUI at (http://127\.0\.0\.1:(\d+))", page.output(1).inner_text())
    assert found is not None
    before = len(read_record(record))
    direct: Page = page.page.context.new_page()
    direct.goto(found[1])
    expect(direct.get_by_text("connected")).to_be_visible()
    assert direct.evaluate(_ASK, [_TOKEN, _XSRF]) == [200, 200]
    direct.close()
    got = since(record, before)
    sockets, others = [each for each in got if each.is_socket], [each for each in got if "asked=" in each.path]
    assert [len(sockets), len(others)] == [1, 2]
    assert all(_SECRETS["planted"] in each.value("cookie") for each in (*sockets, *others))
    assert all(_TOKEN in each.value("authorization") and each.value("x-xsrftoken") == _XSRF for each in others)

    before = len(read_record(record))
    assert page.page.context.request.get(f"{page.lab.url}proxy/{found[2]}/queue?asked=get").ok
    (through,) = (each for each in since(record, before) if "asked=get" in each.path)
    assert all(word in through.value("cookie") for word in ("username-", "_xsrf=", _SECRETS["session"]))
