"""Who ends a pod when this process is gone: the watchdog on it, and the reaper on this machine. Pure steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from autopod_nb.models.pod import PodState, may_bill
from autopod_nb.models.snapshot import Level
from autopod_nb.pods.guard import GuardWish
from autopod_nb.session import limit_rules
from autopod_nb.session.effects import ArmWatchdog, BeatWatchdog, CheckAccount, KeepReaper
from autopod_nb.session.events import AccountSeen, PodGuarded, ReaperSeen, SshOpened
from autopod_nb.session.state import PodData
from autopod_nb.session.step import Step

_BEAT_EVERY_S = 60
_REAPER_EVERY_S = 30
_ACCOUNT_EVERY_S = 600
_SHOWN = 5
_LATER_MINUTES = Decimal(5)  # the rules of the session come first; a guess
_WITH_LINE = (PodState.CONNECTING, PodState.READY, PodState.BUSY, PodState.DRAINING)
_CENT = Decimal("0.01")


def ssh_opened(step: Step, message: SshOpened) -> None:
    """The watchdog comes before anything that can fail on the pod."""
    arm(step, step.pods[message.pod_id])


def arm(step: Step, pod: PodData) -> None:
    """Start it, if pods of this provider have one. It may not terminate yet: a job may come while it is armed."""
    if step.rules.watchdog:
        step.emit(ArmWatchdog(pod_id=pod.pod_id, wish=replace(_wish(step, pod), terminate=False)))


def settle(step: Step, before: Mapping[str, PodData]) -> None:
    """After each message: a pod with something to lose is not to be terminated, one without is not to be stopped."""
    for pod in step.pods.values():
        was_active = pod.pod_id in before and bool(before[pod.pod_id].active)
        if bool(pod.active) != was_active:
            beat(step, pod)


def beat(step: Step, pod: PodData) -> None:
    """Somebody cares for it: its watchdog hears so at once, if there is a line, and counts quiet minutes from then."""
    if step.rules.watchdog and pod.state in _WITH_LINE:
        step.emit(BeatWatchdog(pod_id=pod.pod_id, wish=_wish(step, pod)))


def guarded(step: Step, message: PodGuarded) -> None:
    """What is known of it; one that can do nothing is worth a word."""
    pod = step.pods[message.pod_id]
    armed = message.armed and message.can_act is not False
    if not armed and pod.guard != message.words:
        step.notice(Level.WARNING, unarmed_text(pod.pod_id, message.words), pod_id=pod.pod_id)
    step.put_pod(replace(pod, armed=armed, guard=message.words))
    if message.armed and pod.state in _WITH_LINE:
        step.emit(BeatWatchdog(pod_id=pod.pod_id, wish=_wish(step, pod)))  # armed to stop only; now it may terminate


def tick(step: Step, number: int) -> None:
    """Beats for the watchdogs, and a look whether the reaper lives."""
    bills = [pod for pod in step.pods.values() if may_bill(pod.state) or pod.state is PodState.STOPPED]
    if step.rules.outlives and bills and number % _REAPER_EVERY_S == 1:
        step.emit(KeepReaper())
    if step.rules.outlives and (bills or step.strangers) and number % _ACCOUNT_EVERY_S == 2:
        step.emit(CheckAccount())
    if step.rules.watchdog and number % _BEAT_EVERY_S == 0:
        for pod in bills:
            if pod.state in _WITH_LINE:
                arm(step, pod)  # does nothing where it runs; arming may have failed before
                step.emit(BeatWatchdog(pod_id=pod.pod_id, wish=_wish(step, pod)))


def reaper_seen(step: Step, message: ReaperSeen) -> None:
    """It is shown; that it does not run though it was started is worth a word."""
    if step.reaper is False and not message.running:
        text = (
            "The reaper does not run, so nothing on this machine ends a pod when this Python dies; see logs/reaper.log."
        )
        if not step.said(text):
            step.notice(Level.WARNING, text)
    step.reaper = message.running


def account_seen(step: Step, message: AccountSeen) -> None:
    """At a balance of zero a provider ends pods with all that is on them; strange pods are touched only when named."""
    step.strangers = message.strangers
    if message.balance_usd is not None and message.balance_usd < _low_usd(step, message):
        text = (
            f"The account has {message.balance_usd:.2f} USD left, less than an hour's worth; at zero its pods are ended"
            " with what is on them: put money on it, or `%autopod stop`."
        )
        if not step.said(text):
            step.notice(Level.WARNING, text)
    if message.strangers:
        text = strangers_text(message.strangers)
        if not step.said(text):
            step.notice(Level.WARNING, text)


def strangers_text(names: Sequence[str]) -> str:
    """Pods of the account that bill and that the ledger does not know, in words."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    shown = ", ".join(names[:_SHOWN])
    return f"Pods of the account bill that this ledger does not know: {shown}{more}. `%autopod pods` lists them."


def unarmed_text(pod_id: str, guard: str) -> str:
    """A pod that nothing ends when this machine is gone, in words."""
    return (
        f"Pod {pod_id} has no watchdog that could end it: {guard} This machine must stay on, or end the pod before it"
        " goes."
    )


def _low_usd(step: Step, message: AccountSeen) -> Decimal:
    ours = sum((pod.offer.price_per_hour_usd for pod in step.pods.values() if may_bill(pod.state)), Decimal(0))
    return max(ours, message.spend_per_hour_usd or Decimal(0))


def _wish(step: Step, pod: PodData) -> GuardWish:
    """In whole cents: a deadline that moves by seconds is no news."""
    left_usd = limit_rules.left_usd(step, pod)
    return GuardWish(
        quiet_minutes=pod.idle_minutes + _LATER_MINUTES,
        left_usd=None if left_usd is None else left_usd.quantize(_CENT),
        price_per_hour_usd=pod.offer.price_per_hour_usd,
        terminate=not pod.active,
    )
