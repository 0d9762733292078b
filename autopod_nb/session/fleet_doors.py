"""How a person asks a session for a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autopod_nb.comfyui.workflow import WorkflowTemplate, find_template, load_template
from autopod_nb.errors import UsageError
from autopod_nb.models.job import JobSpec
from autopod_nb.models.money import show_usd
from autopod_nb.pods.fleet_facts import Decisions
from autopod_nb.session import commands
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.doors import ANSWER_S, PodDoors
from autopod_nb.session.events import Moment
from autopod_nb.session.fleet_forecast import forecast
from autopod_nb.session.fleet_state import FleetPlan, FleetRequest
from autopod_nb.session.fleet_work import read_known
from autopod_nb.session.planning import make_fleet_plan, make_query


class FleetDoors(PodDoors):
    """The part of a session that has to do with many pods. Every method may be called in any thread."""

    def plan_fleet(self, request: PodRequest, wish: FleetRequest) -> FleetPlan:
        """What a fleet may be made of. Asks the provider, waits at most 30 s, makes nothing.

        Raises:
            UsageError: a wish that makes no sense.
            LimitReached: a limit is spent.
            ProviderError: the provider cannot be asked, or has nothing.
        """
        self._refuse_other_provider(request)
        offers = self.find_offers(make_query(request, self.settings))
        given = request.session_limit_usd
        limit_usd = self.snapshot.limit_usd if given is None else given
        plan = make_fleet_plan(request, wish, offers, self.settings, limit_usd=limit_usd)
        self._refuse_spent_limit(plan.offers[0].kind, plan.session_limit_usd)
        return plan

    def forecast_fleet(self, plan: FleetPlan, specs: Sequence[JobSpec]) -> Decisions:
        """What the rule would decide first if these jobs were submitted now. Reads the ledger, makes nothing.

        Raises:
            TemplateError: a template cannot be read.
        """
        templates = {name: _load(name) for name in dict.fromkeys(spec.workflow_template for spec in specs)}
        known = read_known(self._ledger, self._provider.name, templates)
        jobs = [(spec, templates[spec.workflow_template]) for spec in specs]
        now = Moment(self.clock.now(), self.clock.monotonic())
        return forecast(self._core.state, plan, jobs, known, now)

    def wish_fleet(self, plan: FleetPlan, *, batch: bool = False) -> None:
        """Start and end pods as it pays from now on; with *batch* until no job is left. Nothing is rented at once.

        Raises:
            UsageError: so many pods are so dear that a person must say yes.
        """
        if plan.needs_yes:
            most = show_usd(plan.most_per_hour_usd, plan.offers[0].kind)
            limit = self.settings.confirm_above_usd_per_hour
            raise UsageError(
                f"{plan.max_pods} pods may cost {most} an hour, more than {limit}: say --yes, or ask for fewer."
            )
        self._post(commands.WishFleet(plan=plan, batch=batch))
        self._core.wait_for(lambda snapshot: snapshot.fleet is not None, ANSWER_S)

    def drop_fleet(self) -> bool:
        """Start no more pods by oneself; those that are there end by their own rules.

        Returns:
            Whether there was such a wish.
        """
        wished = self.snapshot.fleet is not None
        self._post(commands.DropFleet())
        self._core.wait_for(lambda snapshot: snapshot.fleet is None, ANSWER_S)
        return wished


def _load(name: str) -> WorkflowTemplate:
    return load_template(find_template(name, cwd=Path.cwd()))
