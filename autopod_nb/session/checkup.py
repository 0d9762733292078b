"""What `doctor` looks at below the faces: settings, ledger, key, provider, what was left behind. Changes nothing."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from autopod_nb.clock import Clock, default_clock
from autopod_nb.config import LEDGER_NAME, Settings, read_settings
from autopod_nb.errors import AutopodError
from autopod_nb.models.offer import OfferQuery
from autopod_nb.providers.local_folder import PodFolder
from autopod_nb.providers.registry import make_provider
from autopod_nb.session.adoption import look
from autopod_nb.session.build import current_session
from autopod_nb.session.guardian import reaper_state
from autopod_nb.storage.ledger import Ledger


class Level(str, Enum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of `doctor`.

    Attributes:
        topic: what was looked at.
        level: how it came out.
        finding: what was found.
        fix: what to do; empty if nothing is to be done.
    """

    topic: str
    level: Level
    finding: str
    fix: str = ""


def check_up() -> tuple[Check, ...]:
    """Every check of these; one that cannot be made is a problem itself. Asks the provider, so it may take seconds."""
    try:
        settings = read_settings()
    except AutopodError as error:
        return (Check(topic="Settings", level=Level.PROBLEM, finding=str(error)),)
    clock = default_clock()
    found = f"{settings.home}, provider {settings.provider}, GPUs {', '.join(settings.gpu_preferences)}"
    checks = [Check(topic="Settings", level=Level.OK, finding=found)]
    checks.append(_guarded("Ledger", lambda: _ledger(settings)))
    checks.append(_guarded("SSH key", lambda: _key(settings)))
    checks.append(_guarded("Provider", lambda: _provider(settings, clock)))
    checks.append(_guarded("Pods", lambda: _bills(settings, clock)))
    checks.append(_guarded("Reaper", lambda: _reaper(settings)))
    checks.append(_guarded("Local pods", lambda: _folders(settings)))
    return tuple(checks)


def _guarded(topic: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except AutopodError as error:
        return Check(topic=topic, level=Level.PROBLEM, finding=str(error))
    except OSError as error:
        return Check(topic=topic, level=Level.PROBLEM, finding=f"cannot be looked at: {error}")


def _ledger(settings: Settings) -> Check:
    path = settings.home / LEDGER_NAME
    if not path.exists():
        return Check(topic="Ledger", level=Level.OK, finding=f"none yet; it will be {path}")
    pods = Ledger(path).read_pods()
    size_mb = path.stat().st_size / 1e6
    return Check(topic="Ledger", level=Level.OK, finding=f"{path}, {size_mb:.1f} MB, pods in it: {len(pods)}")


def _key(settings: Settings) -> Check:
    from autopod_nb.ssh.keys import load_key  # noqa: PLC0415 - loads paramiko

    path = settings.ssh_key_path or settings.home / "keys" / "id_ed25519"
    if settings.ssh_key_path is None and not path.exists():
        return Check(topic="SSH key", level=Level.OK, finding=f"none yet; {path} is made for the first pod")
    key = load_key(path)
    if stat.S_IMODE(path.expanduser().stat().st_mode) & 0o077:
        fix = f"run `chmod 600 {shlex.quote(str(path))}`"
        return Check(topic="SSH key", level=Level.WARNING, finding=f"{path} can be read by others", fix=fix)
    return Check(topic="SSH key", level=Level.OK, finding=f"{path}, {key.get_name()}")


def _provider(settings: Settings, clock: Clock) -> Check:
    provider = make_provider(settings, clock)
    try:
        key = provider.credentials()
        provider.authenticate()
        offers, account = provider.offers(OfferQuery()), provider.account()
    finally:
        provider.close()
    cheapest = min(offers, key=lambda offer: offer.price_per_hour_usd, default=None)
    if cheapest is None:
        fix = "try again later, or another provider"
        return Check(topic="Provider", level=Level.WARNING, finding=f"{provider.name} has nothing to rent", fix=fix)
    price = f"{cheapest.gpu_type} at ${cheapest.price_per_hour_usd} an hour ({cheapest.kind.value})"
    finding = f"{provider.name} answers, {len(offers)} offers from {price}"
    finding += f"; key: {key}" if key else ""
    finding += f"; balance ${account.balance_usd:.2f}" if account.balance_usd is not None else ""
    return Check(topic="Provider", level=Level.OK, finding=finding)


def _bills(settings: Settings, clock: Clock) -> Check:
    session = current_session()
    ours = () if session is None else tuple(session.snapshot.pods)
    ledger = Ledger(settings.home / LEDGER_NAME)
    found = look(ledger, ours=ours, idle_minutes=settings.idle_minutes, now=clock.now())
    if found.orphans:
        names = ", ".join(orphan.pod.row.pod_id for orphan in found.orphans)
        finding = f"{names} may bill and nobody owns them" if len(found.orphans) > 1 else f"{names} may bill, nobody's"
        return Check(topic="Pods", level=Level.WARNING, finding=finding, fix="`%autopod adopt` takes over what is left")
    live = 0 if session is None else sum(not pod.over for pod in session.snapshot.pods.values())
    finding = f"{live} of this session, {len(found.foreign)} of other processes, none is nobody's"
    return Check(topic="Pods", level=Level.OK, finding=finding)


def _reaper(settings: Settings) -> Check:
    """It runs while a pod may bill that would outlive every process of ours."""
    state = reaper_state(settings.home)
    if not state.running:
        finding = "does not run; it is started with the first pod that would outlive this machine's processes"
        return Check(topic="Reaper", level=Level.OK, finding=finding)
    since = f" since {state.since:%Y-%m-%d %H:%M} UTC" if state.since is not None else ""
    return Check(topic="Reaper", level=Level.OK, finding=f"runs{since}, process {state.pid or 'unknown'}")


def _folders(settings: Settings) -> Check:
    """Folders of pods on this machine whose process is gone and that nothing will come back to."""
    root = settings.home / "pods"
    known = {pod.name for pod in Ledger(settings.home / LEDGER_NAME).pods_that_may_bill()}
    names = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    dead = [root / name for name in names if name not in known and PodFolder(root, name).pid() is None]
    if not dead:
        return Check(topic="Local pods", level=Level.OK, finding="no folder of a pod that is gone is left")
    size_mb = sum(file.stat().st_size for folder in dead for file in folder.rglob("*") if file.is_file()) / 1e6
    finding = f"{len(dead)} folder{'s' if len(dead) > 1 else ''} of pods that are gone, {size_mb:.1f} MB"
    return Check(topic="Local pods", level=Level.WARNING, finding=finding, fix=f"run `rm -r {_quoted(dead)}`")


def _quoted(paths: list[Path]) -> str:
    return " ".join(shlex.quote(str(path)) for path in paths[:3]) + (" …" if len(paths) > 3 else "")
