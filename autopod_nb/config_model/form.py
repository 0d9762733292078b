"""The form of ``config.json``, as pydantic models: what may stand in it, and what it must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from autopod_nb.config import MOST, Secret, nearest_key
from autopod_nb.config_model.sources import check_url

_MOST_GB = 64_000  # of a disk: a guess, far above what is rented out, there to catch slips
_BROKEN = re.compile(r"[\0\ud800-\udfff]")  # no path has a zero, and half a character cannot be written


def _number(value: object) -> Decimal | None:
    """A float by its shortest text, so that 0.1 is 0.1; None for what is no number, or a greater one than any."""
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and number <= MOST else None


def _amount(value: object) -> Decimal:
    number = _number(value)
    if number is None or number <= 0:
        raise ValueError(f"must be a number above 0, up to {MOST}, not {_shown(value)}")
    return number


def _price(value: object) -> Decimal:
    number = _number(value)
    if number is None or number < 0:
        raise ValueError(f"must be a number from 0 to {MOST}, not {_shown(value)}")
    return number.copy_abs()  # JSON has a -0


def _limit(value: object) -> Decimal | None:
    return None if value is None else _amount(value)


def _whole(lowest: int, highest: int) -> BeforeValidator:
    """A whole number in these bounds, both of them allowed."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}, not {_shown(value)}")
        return value

    return BeforeValidator(check)


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


def _remote_path(value: object) -> str:
    text = _text(value)
    if not text.startswith("/"):
        raise ValueError(f"must be a path on the pod, from /, not {_shown(value)}")
    return str(PurePosixPath(text))


def _url(value: object) -> str:
    return check_url(_text(value))


def _host(value: object) -> str:
    text = _text(value).strip()
    if re.search(r"[\s@/\[\]]", text) or re.fullmatch(r"[^:]*:\d*", text) or text.startswith("-"):
        raise ValueError(f"must be a name or an address alone, without user and port, not {_shown(value)}")
    return text


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
_Port = Annotated[int, _whole(1, 65535)]
_File = Annotated[Path, BeforeValidator(_path)]
_RemotePath = Annotated[str, BeforeValidator(_remote_path)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


class LimitsForm(_Form):
    """``defaults.limits``; null for none."""

    session_usd: _Limit = None
    job_usd: _Limit = None
    pod_usd: _Limit = None
    day_usd: _Limit = None
    month_usd: _Limit = None


class DefaultsForm(_Form):
    """``defaults``."""

    provider: _Text = ""
    gpu_preferences: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    gpu_count: Annotated[int, _whole(1, 8)] = 1
    idle_minutes: _Amount = Decimal(1)
    stuck_minutes: _Amount = Decimal(1)
    boot_minutes: _Amount = Decimal(1)
    local_port: _Port = 1
    confirm_above_usd_per_hour: _Amount = Decimal(1)
    max_price_per_hour_usd: _Limit = None
    limits: LimitsForm = LimitsForm()


class LocalForm(_Form):
    """``providers.local``: pods on this machine."""

    comfyui_dir: _File = Path()
    comfyui_python: _File = Path()
    ssh_key_path: _File = Path()


class RunpodForm(_Form):
    """``providers.runpod``, and ``providers.runpod_sdk``: an account at RunPod, and what its pods shall be."""

    api_key: Annotated[Secret, BeforeValidator(_secret)] = Secret("")
    api_base_url: Annotated[str, BeforeValidator(_url)] = ""
    ssh_key_path: _File = Path()
    default_template: _Text = ""
    default_region: _Text = ""
    cloud_type: _Text = ""
    image: _Text = ""
    disk_gb: Annotated[int, _whole(1, _MOST_GB)] = 1
    volume_gb: Annotated[int, _whole(0, _MOST_GB)] = 0
    network_volume: _Text = ""
    comfyui_dir: _RemotePath = ""
    comfyui_port: _Port = 1


class SshHostForm(_Form):
    """``providers.ssh_host``: a machine that the user has."""

    host: Annotated[str, BeforeValidator(_host)] = ""
    port: _Port = 1
    user: _Text = ""
    ssh_key_path: _File = Path()
    comfyui_dir: _RemotePath = ""
    comfyui_port: _Port = 1
    price_per_hour_usd: Annotated[Decimal, BeforeValidator(_price)] = Decimal(0)


class ProvidersForm(_Form):
    """``providers``."""

    local: LocalForm = LocalForm()
    runpod: RunpodForm = RunpodForm()
    runpod_sdk: RunpodForm = RunpodForm()
    ssh_host: SshHostForm = SshHostForm()


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
