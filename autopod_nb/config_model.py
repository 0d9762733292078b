"""The form of ``config.json``, as pydantic models: what may stand in it, and what it must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from autopod_nb.config import MOST, Secret, nearest_key

_BROKEN = re.compile(r"[\0\ud800-\udfff]")  # no path has a zero, and half a character cannot be written


def _amount(value: object) -> Decimal:
    """A float by its shortest text, so that 0.1 is 0.1."""
    amount = Decimal(0)
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            amount = Decimal(0)
    if not amount.is_finite() or not 0 < amount <= MOST:
        raise ValueError(f"must be a number above 0, up to {MOST}, not {_shown(value)}")
    return amount


def _limit(value: object) -> Decimal | None:
    return None if value is None else _amount(value)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 8:
        raise ValueError(f"must be a whole number from 1 to 8, not {_shown(value)}")
    return value


def _port(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError(f"must be a whole number from 1 to 65535, not {_shown(value)}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or _BROKEN.search(value):
        raise ValueError(f"must be a text, not {_shown(value)}")
    return value


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f'must be a list of names such as ["A40"], not {_shown(value)}')
    return tuple(_text(name) for name in value)


def _path(value: object) -> Path:
    try:
        path = Path(_text(value)).expanduser()
    except (ValueError, RuntimeError):  # ~nobody
        path = Path()
    if not path.is_absolute():
        raise ValueError(f"must be a path from / or ~, not {_shown(value)}")
    return path


def _secret(value: object) -> Secret:
    if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable():
        raise ValueError("must be the key as a text, without blanks around it")  # which is not shown
    return Secret(value)


def _shown(value: object) -> str:
    text = "null" if value is None else "{…}" if isinstance(value, dict) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


_Amount = Annotated[Decimal, BeforeValidator(_amount)]
_Limit = Annotated[Decimal | None, BeforeValidator(_limit)]
_Text = Annotated[str, BeforeValidator(_text)]
_File = Annotated[Path, BeforeValidator(_path)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


class LimitsForm(_Form):
    """``defaults.limits``; null for none."""

    session_usd: _Limit = None
    job_usd: _Limit = None


class DefaultsForm(_Form):
    """``defaults``."""

    provider: _Text = ""
    gpu_preferences: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    gpu_count: Annotated[int, BeforeValidator(_count)] = 1
    idle_minutes: _Amount = Decimal(1)
    stuck_minutes: _Amount = Decimal(1)
    boot_minutes: _Amount = Decimal(1)
    local_port: Annotated[int, BeforeValidator(_port)] = 1
    confirm_above_usd_per_hour: _Amount = Decimal(1)
    limits: LimitsForm = LimitsForm()


class LocalForm(_Form):
    """``providers.local``: pods on this machine."""

    comfyui_dir: _File = Path()
    comfyui_python: _File = Path()
    ssh_key_path: _File = Path()


class AccountForm(_Form):
    """``providers.NAME``: an account at somebody who rents out pods."""

    api_key: Annotated[Secret, BeforeValidator(_secret)] = Secret("")
    ssh_key_path: _File = Path()
    default_template: _Text = ""
    default_region: _Text = ""
    cloud_type: _Text = ""


class ProvidersForm(_Form):
    """``providers``."""

    local: LocalForm = LocalForm()
    runpod: AccountForm = AccountForm()


class ConfigForm(_Form):
    """The whole file. What is left out is left to the defaults of the settings; the defaults here are never read."""

    providers: ProvidersForm = ProvidersForm()
    defaults: DefaultsForm = DefaultsForm()


def values_of(document: object) -> dict[str, Any]:
    """The values that stand in a document, by dotted key.

    Raises:
        ValueError: the document is not of the form; each fault is named with its key.
    """
    try:
        form = ConfigForm.model_validate(document)
    except ValidationError as error:
        faults = [_fault(details["type"], details["loc"], details["msg"]) for details in error.errors()]
        raise ValueError(" ".join(faults)) from error
    return _flat(form.model_dump(exclude_unset=True), "")


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _fault(kind: str, path: tuple[int | str, ...], message: str) -> str:
    key = ".".join(map(str, path))
    if kind == "extra_forbidden":
        return f"There is no key {key!r}.{nearest_key(key)}"
    if kind == "model_type":
        return f"{key or 'The whole'} must be an object, {{…}}."
    return f"{key} {message.removeprefix('Value error, ')}."
