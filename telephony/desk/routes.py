"""What a route is. The table itself is in ``api.py``; nothing is served that is not in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from telephony.floor.accounts import Role, Session

EVERY_ROLE = frozenset(Role)
SUPERVISION = frozenset({Role.SUPERVISOR, Role.ADMIN})
PUBLIC: frozenset[Role] = frozenset()
"""No session is asked for. Written out at each route that is public: forgetting the roles is a type error."""


@dataclass(slots=True)
class Call:
    """One request on its way through a handler: who asks, and what he sent, already checked."""

    request: web.Request
    session: Session | None
    body: Any = None
    """An instance of the route's body model."""

    @property
    def known(self) -> Session:
        """The session of a route that asks for one."""
        if self.session is None:
            raise RuntimeError("a public route asked who is there")
        return self.session

    @property
    def login(self) -> str:
        return self.known.user.login


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method at one path, and everything the server checks before the handler runs.

    ``roles``: who may; ``PUBLIC`` for anybody. ``answer``: the model of the JSON answer, none for an empty or
    another one. ``problems``: the ids of problems that are its own, beside those every route can have.
    """

    method: str
    path: str
    handler: Handler
    roles: frozenset[Role]
    summary: str
    status: int = 200
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    query: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Parameters of the query, each with its JSON schema; for the document."""
    content_type: str = "application/json"
    problems: tuple[str, ...] = ()
    origin_checked: bool | None = None
    """None: by the method. True for the WebSocket, which is a GET that any page could open."""

    @property
    def unsafe(self) -> bool:
        if self.origin_checked is not None:
            return self.origin_checked
        return self.method not in ("GET", "HEAD")

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/")
