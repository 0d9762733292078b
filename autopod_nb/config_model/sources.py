"""What counts: the environment, else ``config.json``, else what another setting says, else the default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from autopod_nb import log
from autopod_nb.config import MOST, SETTINGS, Kind, Secret, Setting, read_path
from autopod_nb.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The value of a setting, and where it came from.

    Attributes:
        value: of the type of its field.
        source: ``environment AUTOPOD_X``, ``config.json``, ``default``, or the key of the setting that it follows.
    """

    value: Any
    source: str


def resolve(home: Path, env: Mapping[str, str]) -> dict[str, Resolved]:
    """Every setting by its key. Every secret that is found is kept out of the log.

    Args:
        home: where ``config.json`` is.
        env: the environment.

    Raises:
        ConfigError: a variable or ``config.json`` holds something that cannot be used; the message names it.
    """
    from autopod_nb.config_file import read_values  # noqa: PLC0415 - it shows what is found here

    in_file = read_values(home)
    found: dict[str, Resolved] = {}
    for setting in SETTINGS:  # a fallback stands before those that follow it
        found[setting.key] = _found(setting, env, in_file, found)
        if isinstance(secret := found[setting.key].value, Secret):
            log.hide(secret.reveal())
    return found


def _found(
    setting: Setting, env: Mapping[str, str], in_file: Mapping[str, Any], before: Mapping[str, Resolved]
) -> Resolved:
    if (told := _from_environment(setting, env)) is not None:
        return told
    if setting.key in in_file:
        return Resolved(value=in_file[setting.key], source="config.json")
    if setting.fallback and before[setting.fallback].source != "default":
        return Resolved(value=before[setting.fallback].value, source=setting.fallback)
    return Resolved(value=setting.default, source="default")


def _from_environment(setting: Setting, env: Mapping[str, str]) -> Resolved | None:
    """None if the environment says nothing."""
    if setting.variable is None or (text := env.get(setting.variable)) is None:
        return None
    source = f"environment {setting.variable}"
    if setting.kind is Kind.LIMIT and text.lower() == "none":
        return Resolved(value=None, source=source)
    value = _READERS[setting.kind](setting.variable, text)
    return None if value is None else Resolved(value=value, source=source)


def check_url(text: str) -> str:
    """The address of an API as it is used: without a slash at its end.

    Raises:
        ValueError: it is none; the message says what it must be.
    """
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        usable = False
    # what stands before an @ would be a password that everybody sees; ? and # have no place before /v2
    if not usable or not url.isprintable() or any(sign in url for sign in " @?#\\"):
        raise ValueError("must be a web address such as https://api.example.com, without user, ? and #")
    return url


def _amount(variable: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or not 0 < value <= MOST:
        raise ConfigError(f"{variable}={text!r} is not a number above zero, up to {MOST}; set it to one, or unset it.")
    return value


def _port(variable: str, text: str) -> int:
    port = _amount(variable, text)
    if port != port.to_integral_value() or port > 65535:
        raise ConfigError(f"{variable}={port} is not a port; use a whole number from 1 to 65535.")
    return int(port)


def _names(_variable: str, text: str) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in text.split(",") if name.strip()) or None


def _url(variable: str, text: str) -> str | None:
    try:
        return check_url(text) if text.strip() else None
    except ValueError as error:
        raise ConfigError(f"{variable} {error}; set it to one, or unset it.") from error


# How the text of a variable becomes a value; None where an empty variable says nothing.
_READERS: dict[Kind, Callable[[str, str], object]] = {
    Kind.TEXT: lambda _variable, text: text or None,
    Kind.NAMES: _names,
    Kind.AMOUNT: _amount,
    Kind.LIMIT: _amount,
    Kind.PORT: _port,
    Kind.PATH: lambda variable, text: read_path(variable, text) if text else None,
    Kind.URL: _url,
    Kind.KEY: lambda _variable, text: Secret(text.strip()) if text.strip() else None,
}
