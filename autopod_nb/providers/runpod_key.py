"""Where the key of a RunPod account comes from."""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autopod_nb import log
from autopod_nb.config import Secret, Settings
from autopod_nb.errors import AuthFailed

_log = logging.getLogger(__name__)
_VARIABLE = "RUNPOD_API_KEY"
_KEYRING = ("autopod-nb", "runpod")
"""Service and user name in the system's keyring."""
_VENDOR_FILE = Path(".runpod") / "config.toml"  # written by RunPod's own programs; below the home folder
HOW_TO_GIVE = (
    f"set the environment variable {_VARIABLE}, or run `%autopod config set providers.runpod.api_key`, or put it into"
    f" the system keyring (`keyring set {_KEYRING[0]} {_KEYRING[1]}`), or into ~/{_VENDOR_FILE.as_posix()}"
)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key, and in words where it was found."""

    secret: Secret
    source: str


def find_key(settings: Settings, env: Mapping[str, str] | None = None) -> FoundKey | None:
    """The key: environment or config (which :class:`Settings` holds), the system keyring, RunPod's own config file.

    It is kept out of the log from then on. None: there is none.
    """
    found = _of_settings(settings, os.environ if env is None else env) or _of_keyring() or _of_vendor_file()
    if found is not None:
        log.hide(found.secret.reveal())
    return found


def require_key(settings: Settings) -> Secret:
    """The key.

    Raises:
        AuthFailed: there is none; it says how to give one.
    """
    found = find_key(settings)
    if found is None:
        raise AuthFailed(f"There is no RunPod key: {HOW_TO_GIVE}.")
    return found.secret


def key_source(settings: Settings) -> str:
    """Where the key was found, or that there is none; never the key. For `%autopod doctor`."""
    found = find_key(settings)
    return "no RunPod key was found" if found is None else found.source


def _of_settings(settings: Settings, env: Mapping[str, str]) -> FoundKey | None:
    if settings.api_key is None:
        return None
    is_of_env = env.get(_VARIABLE, "").strip() == settings.api_key.reveal()
    return FoundKey(settings.api_key, f"environment {_VARIABLE}" if is_of_env else "config.json")


def _of_keyring() -> FoundKey | None:
    """The library is optional, and so is a keyring behind it."""
    try:
        keyring: Any = importlib.import_module("keyring")
        text = keyring.get_password(*_KEYRING)
    except ImportError:
        return None
    except Exception as error:  # noqa: BLE001 - any back end may be behind it, with errors of its own
        _log.info("the system keyring cannot be read: %s", type(error).__name__)
        return None
    return FoundKey(Secret(text.strip()), "system keyring") if text and text.strip() else None


def _of_vendor_file() -> FoundKey | None:
    try:
        path = Path.home() / _VENDOR_FILE
        text = path.read_text(encoding="utf-8")
    except (OSError, RuntimeError, UnicodeDecodeError):
        return None
    key = vendor_key(text)
    return FoundKey(Secret(key), f"~/{_VENDOR_FILE.as_posix()}") if key else None


def vendor_key(text: str) -> str:
    """``api_key`` of ``[default]`` in the text of RunPod's config file; empty if there is none."""
    try:
        tomllib: Any = importlib.import_module("tomllib")  # Python 3.11 and later
    except ImportError:
        return small_toml_key(text)
    try:
        section = tomllib.loads(text).get("default")
    except ValueError:
        return ""
    key = section.get("api_key") if isinstance(section, dict) else None
    return key.strip() if isinstance(key, str) else ""


def small_toml_key(text: str) -> str:
    """The same for Python 3.10: as much TOML as the vendor's programs write, one quoted value a line."""
    section = ""
    for line in text.splitlines():
        if header := re.match(r"\s*\[\s*\"?([^\]\"]*?)\"?\s*\]\s*(#.*)?$", line):
            section = header.group(1)
        found = re.match(r"\s*\"?api_key\"?\s*=\s*(?:\"([^\"\\]*)\"|'([^']*)')\s*(#.*)?$", line)
        if found and section == "default":
            return (found.group(1) or found.group(2) or "").strip()
    return ""
