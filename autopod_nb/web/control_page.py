"""The control page: one file, read once, with the policy that lets its own script run and no other."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

PAGE_TYPE = "text/html; charset=utf-8"
_PATH = Path(__file__).with_name("control_page.html")
# A frame gets no token from the browser's memory (see the page), so whoever frames it can make nobody press a button.
_FRAMES = (
    "'self' http://127.0.0.1:* http://localhost:* https://*.googleusercontent.com https://colab.research.google.com"
    " vscode-webview: vscode-file:"
)


@dataclass(frozen=True, slots=True)
class Page:
    """What the browser gets.

    Attributes:
        body: UTF-8.
        policy: its Content-Security-Policy.
    """

    body: bytes
    policy: str


@functools.cache
def load_page() -> Page:
    """The page. Any thread."""
    text = _PATH.read_text(encoding="utf-8")
    parts = {
        "default-src": "'none'",
        "script-src": _hash(text, "script"),
        "style-src": _hash(text, "style"),
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": _FRAMES,
    }
    return Page(text.encode(), "; ".join(f"{name} {value}" for name, value in parts.items()))


def _hash(text: str, tag: str) -> str:
    """The one inline element of a kind, as a policy names it."""
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
