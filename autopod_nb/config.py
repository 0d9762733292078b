"""Settings: environment over ``config.json`` over defaults, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from pathlib import Path

from autopod_nb.errors import ConfigError

DEFAULT_GPU_PREFERENCES = ("A40", "RTX A6000", "RTX A5000")
LEDGER_NAME = "ledger.sqlite3"
"""In ``AUTOPOD_HOME``; known here, for what reads it takes long to load."""
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
        pod_limit_usd: a pod ends here, None for no limit.
        day_limit_usd: a day of all sessions together stops here, None for no limit.
        month_limit_usd: likewise a month.
        max_price_per_hour_usd: no dearer pod is rented, None for no ceiling.
        confirm_above_usd_per_hour: a dearer pod wants ``--yes``.
        local_port: the first port tried for the tunnel.
        comfyui_dir: a ComfyUI of the user's own for pods on this machine; None for the built-in one.
        comfyui_python: the Python that it runs on; None to look for one.
        api_key: of the chosen provider.
        api_base_url: where the chosen provider's API is, without a slash at its end; None for where it always is.
        ssh_key_path: a private key of the user's own for pods of the chosen provider; None for ours.
        default_template: pod template of the chosen provider.
        default_region: where the chosen provider shall rent.
        cloud_type: which of its clouds.
        image: container image of a pod.
        disk_gb: container disk of a pod, wiped when it stops.
        volume_gb: volume of a pod, kept when it stops; 0 for none.
        network_volume: id of a network volume instead of the pod's own.
        remote_comfyui_dir: where ComfyUI is on a pod, an absolute POSIX path; None to look for it.
        remote_comfyui_port: where ComfyUI listens on a pod's loopback; None to look for it.
        host: name or address of a machine that the user has.
        port: of its SSH server.
        user: who logs in there.
        price_per_hour_usd: what it costs its user, 0 for nothing.
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
    pod_limit_usd: Decimal | None = None
    day_limit_usd: Decimal | None = None
    month_limit_usd: Decimal | None = None
    max_price_per_hour_usd: Decimal | None = None
    confirm_above_usd_per_hour: Decimal = Decimal(1)
    local_port: int = 8188
    comfyui_dir: Path | None = None
    comfyui_python: Path | None = None
    api_key: Secret | None = None
    api_base_url: str | None = None
    ssh_key_path: Path | None = None
    default_template: str | None = None
    default_region: str | None = None
    cloud_type: str | None = None
    image: str | None = None
    disk_gb: int = 60
    volume_gb: int = 20
    network_volume: str | None = None
    remote_comfyui_dir: str | None = None
    remote_comfyui_port: int | None = None
    host: str | None = None
    port: int = 22
    user: str = "root"
    price_per_hour_usd: Decimal = Decimal(0)


_DEFAULTS = Settings(home=Path())


class Kind(Enum):
    """What a setting is, which decides how its text is read."""

    TEXT = "text"
    NAMES = "names"
    AMOUNT = "a number above 0"
    PRICE = "a number from 0"
    LIMIT = "a number above 0, or none"
    COUNT = "a whole number"
    PORT = "a port"
    PATH = "a path"
    URL = "a web address"
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
        fallback: key of the setting that counts where this one is not set; empty for none.
    """

    key: str
    field: str
    kind: Kind
    variable: str | None = None
    of_account: bool = False
    fallback: str = ""

    @property
    def default(self) -> object:
        """What counts when nobody says anything."""
        return getattr(_DEFAULTS, self.field)


# Name in config.json, field, kind and variable of what there is to say about an account at RunPod.
_RUNPOD = (
    ("api_key", "api_key", Kind.KEY, "RUNPOD_API_KEY"),
    ("api_base_url", "api_base_url", Kind.URL, "RUNPOD_API_BASE_URL"),
    ("ssh_key_path", "ssh_key_path", Kind.PATH, None),
    ("default_template", "default_template", Kind.TEXT, None),
    ("default_region", "default_region", Kind.TEXT, None),
    ("cloud_type", "cloud_type", Kind.TEXT, None),
    ("image", "image", Kind.TEXT, None),
    ("disk_gb", "disk_gb", Kind.COUNT, None),
    ("volume_gb", "volume_gb", Kind.COUNT, None),
    ("network_volume", "network_volume", Kind.TEXT, None),
    ("comfyui_dir", "remote_comfyui_dir", Kind.TEXT, None),
    ("comfyui_port", "remote_comfyui_port", Kind.PORT, None),
)


def _runpod(provider: str, *, as_in: str = "") -> tuple[Setting, ...]:
    """The settings of a provider that rents from RunPod; *as_in* is the one whose settings count where these miss."""
    return tuple(
        Setting(
            key=f"providers.{provider}.{name}",
            field=field,
            kind=kind,
            variable=variable,
            of_account=True,
            fallback=as_in and f"providers.{as_in}.{name}",
        )
        for name, field, kind, variable in _RUNPOD
    )


SETTINGS = (
    Setting(key="defaults.provider", field="provider", kind=Kind.TEXT, variable="AUTOPOD_PROVIDER"),
    Setting(key="defaults.gpu_preferences", field="gpu_preferences", kind=Kind.NAMES, variable="AUTOPOD_GPUS"),
    Setting(key="defaults.gpu_count", field="gpu_count", kind=Kind.COUNT),
    Setting(key="defaults.idle_minutes", field="idle_minutes", kind=Kind.AMOUNT, variable="AUTOPOD_IDLE_MINUTES"),
    Setting(key="defaults.stuck_minutes", field="stuck_minutes", kind=Kind.AMOUNT, variable="AUTOPOD_STUCK_MINUTES"),
    Setting(key="defaults.boot_minutes", field="boot_minutes", kind=Kind.AMOUNT, variable="AUTOPOD_BOOT_MINUTES"),
    Setting(key="defaults.local_port", field="local_port", kind=Kind.PORT, variable="AUTOPOD_LOCAL_PORT"),
    Setting(key="defaults.confirm_above_usd_per_hour", field="confirm_above_usd_per_hour", kind=Kind.AMOUNT),
    Setting(key="defaults.max_price_per_hour_usd", field="max_price_per_hour_usd", kind=Kind.LIMIT),
    Setting(key="defaults.limits.session_usd", field="session_limit_usd", kind=Kind.LIMIT, variable="AUTOPOD_MAX_COST"),
    Setting(key="defaults.limits.job_usd", field="job_limit_usd", kind=Kind.LIMIT),
    Setting(key="defaults.limits.pod_usd", field="pod_limit_usd", kind=Kind.LIMIT),
    Setting(key="defaults.limits.day_usd", field="day_limit_usd", kind=Kind.LIMIT, variable="AUTOPOD_MAX_COST_DAY"),
    Setting(
        key="defaults.limits.month_usd", field="month_limit_usd", kind=Kind.LIMIT, variable="AUTOPOD_MAX_COST_MONTH"
    ),
    Setting(key="providers.local.comfyui_dir", field="comfyui_dir", kind=Kind.PATH, variable="AUTOPOD_COMFYUI_DIR"),
    Setting(
        key="providers.local.comfyui_python", field="comfyui_python", kind=Kind.PATH, variable="AUTOPOD_COMFYUI_PYTHON"
    ),
    Setting(key="providers.local.ssh_key_path", field="ssh_key_path", kind=Kind.PATH, of_account=True),
    *_runpod("runpod"),
    *_runpod("runpod_sdk", as_in="runpod"),
    Setting(key="providers.ssh_host.host", field="host", kind=Kind.TEXT, of_account=True),
    Setting(key="providers.ssh_host.port", field="port", kind=Kind.PORT, of_account=True),
    Setting(key="providers.ssh_host.user", field="user", kind=Kind.TEXT, of_account=True),
    Setting(key="providers.ssh_host.ssh_key_path", field="ssh_key_path", kind=Kind.PATH, of_account=True),
    Setting(key="providers.ssh_host.comfyui_dir", field="remote_comfyui_dir", kind=Kind.TEXT, of_account=True),
    Setting(key="providers.ssh_host.comfyui_port", field="remote_comfyui_port", kind=Kind.PORT, of_account=True),
    Setting(key="providers.ssh_host.price_per_hour_usd", field="price_per_hour_usd", kind=Kind.PRICE, of_account=True),
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
    ends = {key.rpartition(".")[2]: key for key in reversed(keys)}  # of several with one end the first is meant
    for text, choices in ((word, keys), (word.rpartition(".")[2], ends)):
        if found := get_close_matches(text, choices, n=1, cutoff=0.6):
            return f" Did you mean {choices[found[0]]!r}?"
    return ""


def read_home(env: Mapping[str, str] | None = None) -> Path:
    """The folder of ledger, logs and keys: ``AUTOPOD_HOME``, or ``~/.autopod``. Reads no file.

    Raises:
        ConfigError: it cannot be a folder.
    """
    env = os.environ if env is None else env
    return read_path("AUTOPOD_HOME", env.get("AUTOPOD_HOME") or "~/.autopod")


def read_settings(env: Mapping[str, str] | None = None, *, provider: str | None = None) -> Settings:
    """Read the settings. Every key that is found is kept out of the log.

    Args:
        env: instead of the process's environment.
        provider: instead of the one that the settings name.

    Raises:
        ConfigError: a variable or ``config.json`` holds something that cannot be used; the message names it.
    """
    from autopod_nb.config_model.sources import resolve  # noqa: PLC0415 - it needs the table above

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


def read_path(name: str, text: str) -> Path:
    """The path that a variable holds; ``~`` is the home directory.

    Raises:
        ConfigError: it cannot be one.
    """
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:  # ~nobody
        raise ConfigError(f"{name}={text!r} cannot be a path: {error} Set it to one that can.") from error
