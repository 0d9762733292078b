"""``POST /graphql``: a real parser and executor, so that a query gets what it selects and nothing else (7.1)."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from graphql import (
    ExecutionResult,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    build_schema,
    execute_sync,
    parse,
    specified_rules,
    validate,
)

from tests.fakes.runpod_core import Arrival, Core
from tests.fakes.runpod_gate import ARRIVAL
from tests.fakes.runpod_pod_mutations import PodMutations
from tests.fakes.runpod_queries import Queries
from tests.fakes.runpod_schema import FULL_SDL


class GraphqlRoute:
    """The one route."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._schema = build_schema(FULL_SDL)

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/graphql", self._post)]

    async def _post(self, request: web.Request) -> web.Response:
        """Errors are 200 with ``errors`` (2.3)."""
        arrival: Arrival = request[ARRIVAL]
        body = arrival.body
        if not isinstance(body, dict) or not isinstance(body.get("query"), str):
            return web.json_response({"message": "POST body missing, or it has no query."}, status=400)
        result = self._run(body, arrival)
        answer: dict[str, Any] = {} if result.errors and result.data is None else {"data": result.data}
        if result.errors:
            answer["errors"] = [_formatted(error) for error in result.errors]
        return web.json_response(answer)

    def _run(self, body: dict[str, Any], arrival: Arrival) -> ExecutionResult:
        try:
            document = parse(body["query"])
        except GraphQLError as error:
            return _failed([error], "GRAPHQL_PARSE_FAILED")
        # 2: introspection is disabled
        if errors := validate(self._schema, document, [*specified_rules, NoSchemaIntrospectionCustomRule]):
            return _failed(errors, "GRAPHQL_VALIDATION_FAILED")
        root = {**Queries(self._core, arrival).fields(), **PodMutations(self._core, arrival).fields()}
        return execute_sync(
            self._schema,
            document,
            root_value=root,
            variable_values=body.get("variables"),
            operation_name=body.get("operationName"),
        )


def _failed(errors: list[GraphQLError], code: str) -> ExecutionResult:
    for error in errors:
        error.extensions = {"code": code}
    return ExecutionResult(data=None, errors=errors)


def _formatted(error: GraphQLError) -> dict[str, Any]:
    found: dict[str, Any] = dict(error.formatted)
    found.setdefault("extensions", {"code": "INTERNAL_SERVER_ERROR"})
    return found
