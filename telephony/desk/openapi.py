"""The OpenAPI 3.1 document, made from the route table and the models that check the traffic."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from telephony.desk import bodies, entities
from telephony.desk.problems import CATALOGUE, TYPE_PREFIX
from telephony.desk.routes import Route

_REF = "#/components/schemas/{model}"
_STREAM_FRAMES: tuple[type[BaseModel], ...] = (
    entities.Snapshot,
    entities.Hello,
    entities.Put,
    entities.Drop,
    entities.Shown,
)


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The document for these routes."""
    table = list(routes)
    models: list[type[BaseModel]] = [bodies.ProblemDocument, *_STREAM_FRAMES, *entities.SHAPES.values()]
    models += [model for route in table for model in (route.body, route.answer) if model is not None]
    _, schemas = models_json_schema([(model, "validation") for model in dict.fromkeys(models)], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        path = re.sub(r"{(\w+):[^}]*}", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Callfloor desk",
            "version": version,
            "description": "What agents and supervisors see and do. Errors are problem documents (RFC 9457).",
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "callfloor_session"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "responses": {str(route.status): _success(route)},
    }
    if route.path == "/readyz":
        operation["responses"]["503"] = _success(route)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)", route.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in route.query.items()]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(route.body)}}}
    if route.roles:
        operation["security"] = [{"session": []}]
        operation["x-roles"] = sorted(route.roles)
    for status, ids in _problems(route).items():
        operation["responses"][str(status)] = {
            "description": ", ".join(TYPE_PREFIX + id for id in ids),
            "content": {"application/problem+json": {"schema": _ref(bodies.ProblemDocument)}},
        }
    if route.status == 101:
        operation["x-frames"] = [_ref(frame) for frame in _STREAM_FRAMES]
    return operation


def _success(route: Route) -> dict[str, Any]:
    if route.answer is not None:
        return {"description": route.summary, "content": {"application/json": {"schema": _ref(route.answer)}}}
    if route.status in (101, 204):
        return {"description": route.summary}
    return {"description": route.summary, "content": {route.content_type: {}}}


def _problems(route: Route) -> dict[int, list[str]]:
    ids = list(route.problems)
    if route.roles:
        ids += ["not-signed-in", "role-missing"]
    if route.unsafe:
        ids.append("foreign-origin")
    if route.body is not None:
        ids += ["malformed-json", "body-too-large", "body-late", "body-encoded", "not-json", "invalid-fields"]
    if route.query:
        ids.append("invalid-fields")
    found: dict[int, list[str]] = {}
    for id in dict.fromkeys(ids):
        found.setdefault(CATALOGUE[id].status, []).append(id)
    return found


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
