"""Settings: environment over ``config.json`` over defaults, read once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any

from autopod_nb import log
from autopod_nb.errors import ConfigError

DEFAULT_GPU_PREFERENCES = ("A40", "RTX A6000", "RTX A5000")
MOST = 100_000
"""No amount (US dollars, minutes) is larger: a guess, there to catch slips and to keep arithmetic safe."""


class Secret:
    """A text that no repr, log, pickle or format shows. ``reveal()`` gives it to the one call that needs it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not written down")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a session goes by. :data:`SETTINGS` says where each of them is read.

    Attributes:
        home: ledger, logs, keys, ``config.json`` and local pods live here.
        provider: who rents out pods.
        gpu_preferences: tried in this order when no GPU is named.
        gpu_count: GPUs in a pod when nobody says how many.
        idle_minutes: a pod without work ends after this.
        stuck_minutes: a job without progress is reported after this.
        boot_minutes: a pod that is not ready after this is given up.
        session_limit_usd: the session stops here, None for no limit.
        job_limit_usd: a job that names no limit of its own ends here, None for no limit.
        confirm_above_usd_per_hour: a dearer pod wants ``--yes``.
        local_port: the first port tried for the tunnel.
        comfyui_dir: a ComfyUI of the user's own for pods on this machine; None for the built-in one.
        comfyui_python: the Python that it runs on; None to look for one.
        api_key: of the chosen provider.
        ssh_key_path: a private key of the user's own for pods of the chosen provider; None for ours.
        default_template: pod template of the chosen provider.
        default_region: where the chosen provider shall rent.
        cloud_type: which of its clouds.
    """

    home: Path
    provider: str = "local"
    gpu_preferences: tuple[str, ...] = DEFAULT_GPU_PREFERENCES
    gpu_count: int = 1
    idle_minutes: Decimal = Decimal(10)
    stuck_minutes: Decimal = Decimal(5)
    boot_minutes: Decimal = Decimal(15)
    session_limit_usd: Decimal | None = Decimal(10)
    job_limit_usd: Decimal | None = None
    confirm_above_usd_per_hour: Decimal = Decimal(1)
    local_port: int = 8188
    comfyui_dir: Path | None = None
    comfyui_python: Path | None = None
    api_key: Secret | None = None
    ssh_key_path: Path | None = None
    default_template: str | None = None
    default_region: str | None = None
    cloud_type: str | None = None


_DEFAULTS = Settings(home=Path())


class Kind(Enum):
    """What a setting is, which decides how its text is read."""

    TEXT = "text"
    NAMES = "names"
    AMOUNT = "a number above 0"
    LIMIT = "a number above 0, or none"
    COUNT = "a whole number"
    PORT = "a port"
    PATH = "a path"
    KEY = "a key that nobody may see"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        key: dotted, in ``config.json``.
        field: of :class:`Settings`.
        kind: what it is.
        variable: of the environment; None if there is none.
        of_account: there is one a provider, and the chosen provider's counts.
    """

    key: str
    field: str
    kind: Kind
    variable: str | None = None
    of_account: bool = False

    @property
    def default(self) -> object:
        """What counts when nobody says anything."""
        return getattr(_DEFAULTS, self.field)


SETTINGS = (
    Setting(key="defaults.provider", field="provider", kind=Kind.TEXT, variable="AUTOPOD_PROVIDER"),
    Setting(key="defaults.gpu_preferences", field="gpu_preferences", kind=Kind.NAMES, variable="AUTOPOD_GPUS"),
    Setting(key="defaults.gpu_count", field="gpu_count", kind=Kind.COUNT),
    Setting(key="defaults.idle_minutes", field="idle_minutes", kind=Kind.AMOUNT, variable="AUTOPOD_IDLE_MINUTES"),
    Setting(key="defaults.stuck_minutes", field="stuck_minutes", kind=Kind.AMOUNT, variable="AUTOPOD_STUCK_MINUTES"),
    Setting(key="defaults.boot_minutes", field="boot_minutes", kind=Kind.AMOUNT, variable="AUTOPOD_BOOT_MINUTES"),
    Setting(key="defaults.local_port", field="local_port", kind=Kind.PORT, variable="AUTOPOD_LOCAL_PORT"),
    Setting(key="defaults.confirm_above_usd_per_hour", field="confirm_above_usd_per_hour", kind=Kind.AMOUNT),
    Setting(key="defaults.limits.session_usd", field="session_limit_usd", kind=Kind.LIMIT, variable="AUTOPOD_MAX_COST"),
    Setting(key="defaults.limits.job_usd", field="job_limit_usd", kind=Kind.LIMIT),
    Setting(key="providers.local.comfyui_dir", field="comfyui_dir", kind=Kind.PATH, variable="AUTOPOD_COMFYUI_DIR"),
    Setting(
        key="providers.local.comfyui_python", field="comfyui_python", kind=Kind.PATH, variable="AUTOPOD_COMFYUI_PYTHON"
    ),
    Setting(key="providers.local.ssh_key_path", field="ssh_key_path", kind=Kind.PATH, of_account=True),
    Setting(key="providers.runpod.api_key", field="api_key", kind=Kind.KEY, variable="RUNPOD_API_KEY", of_account=True),
    Setting(key="providers.runpod.ssh_key_path", field="ssh_key_path", kind=Kind.PATH, of_account=True),
    Setting(key="providers.runpod.default_template", field="default_template", kind=Kind.TEXT, of_account=True),
    Setting(key="providers.runpod.default_region", field="default_region", kind=Kind.TEXT, of_account=True),
    Setting(key="providers.runpod.cloud_type", field="cloud_type", kind=Kind.TEXT, of_account=True),
)
"""Every setting but ``AUTOPOD_HOME``, which says where ``config.json`` is."""


def find_setting(key: str) -> Setting:
    """The setting of a key.

    Raises:
        ConfigError: there is none; the nearest is named.
    """
    for setting in SETTINGS:
        if setting.key == key:
            return setting
    raise ConfigError(f"There is no setting {key!r}.{nearest_key(key)} `%autopod config get` shows all.")


def nearest_key(word: str) -> str:
    """A hint for a misspelt key, or an empty string; the last part of a key alone will do."""
    keys = {setting.key: setting.key for setting in SETTINGS}
    ends = {key.rpartition(".")[2]: key for key in keys}
    for text, choices in ((word, keys), (word.rpartition(".")[2], ends)):
        if found := get_close_matches(text, choices, n=1, cutoff=0.6):
            return f" Did you mean {choices[found[0]]!r}?"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The value of a setting, and where it came from: ``environment AUTOPOD_X``, ``config.json`` or ``default``."""

    value: Any
    source: str


def read_home(env: Mapping[str, str] | None = None) -> Path:
    """The folder of ledger, logs and keys: ``AUTOPOD_HOME``, or ``~/.autopod``. Reads no file.

    Raises:
        ConfigError: it cannot be a folder.
    """
    env = os.environ if env is None else env
    return _path("AUTOPOD_HOME", env.get("AUTOPOD_HOME") or "~/.autopod")


def read_settings(env: Mapping[str, str] | None = None, *, provider: str | None = None) -> Settings:
    """Read the settings. Every key that is found is kept out of the log.

    Args:
        env: instead of the process's environment.
        provider: instead of the one that the settings name.

    Raises:
        ConfigError: a variable or ``config.json`` holds something that cannot be used; the message names it.
    """
    env = os.environ if env is None else env
    home = read_home(env)
    found = resolve(home, env)
    chosen = provider or str(found["defaults.provider"].value)
    values = {
        setting.field: found[setting.key].value
        for setting in SETTINGS
        if not setting.of_account or setting.key.startswith(f"providers.{chosen}.")
    }
    return Settings(home=home, **{**values, "provider": chosen})


def resolve(home: Path, env: Mapping[str, str]) -> dict[str, Resolved]:
    """Every setting by its key: what the environment says, else ``config.json``, else the default.

    Raises:
        ConfigError: as for :func:`read_settings`.
    """
    from autopod_nb.config_file import read_values  # noqa: PLC0415 - it needs Secret, and pydantic if there is a file

    in_file = read_values(home)
    found = {}
    for setting in SETTINGS:
        told = _from_environment(setting, env)
        if told is not None:
            found[setting.key] = told
        elif setting.key in in_file:
            found[setting.key] = Resolved(value=in_file[setting.key], source="config.json")
        else:
            found[setting.key] = Resolved(value=setting.default, source="default")
        if isinstance(secret := found[setting.key].value, Secret):
            log.hide(secret.reveal())
    return found


def _from_environment(setting: Setting, env: Mapping[str, str]) -> Resolved | None:
    """None if the environment says nothing."""
    if setting.variable is None or (text := env.get(setting.variable)) is None:
        return None
    source = f"environment {setting.variable}"
    if setting.kind is Kind.LIMIT and text.lower() == "none":
        return Resolved(value=None, source=source)
    value = _READERS[setting.kind](setting.variable, text)
    return None if value is None else Resolved(value=value, source=source)


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


def _path(variable: str, text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:  # ~nobody
        raise ConfigError(f"{variable}={text!r} cannot be a path: {error} Set it to one that can.") from error


def _names(_variable: str, text: str) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in text.split(",") if name.strip()) or None


# How the text of a variable becomes a value; None where an empty variable says nothing.
_READERS: dict[Kind, Callable[[str, str], object]] = {
    Kind.TEXT: lambda _variable, text: text or None,
    Kind.NAMES: _names,
    Kind.AMOUNT: _amount,
    Kind.LIMIT: _amount,
    Kind.PORT: _port,
    Kind.PATH: lambda variable, text: _path(variable, text) if text else None,
    Kind.KEY: lambda _variable, text: Secret(text.strip()) if text.strip() else None,
}
