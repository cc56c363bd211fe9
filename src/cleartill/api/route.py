"""The route class: what of FastAPI's machinery an endpoint here needs, and no more."""

import json
import re
from typing import Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cleartill.domain.idempotency import Answer
from cleartill.ports import Visit

_ID = re.compile(r'\{"id":"([a-z]+_[0-9a-z]+)"')
_REPLAYED = {"Idempotent-Replayed": "true"}


class LeanRoute(APIRoute):
    """Calls `endpoint(request, **path_params)` and sends the Response it returns. FastAPI still describes the route
    from its signature and models; nothing is injected, validated or serialised, and no exit stacks are opened."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit: Visit = scope["cleartill.visit"]
        if scope["method"] not in (self.methods or set()):
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(_methods_at(self.path, scope)))})
        visit.route = f"{scope['method']} {self.path}"
        response: Response = await self.endpoint(Request(scope, receive), **scope["path_params"])
        await response(scope, receive, send)


def _methods_at(path: str, scope: Scope) -> set[str]:
    """What may be done at an address: each method is a route of its own."""
    routes = [route for route in scope["app"].routes if isinstance(route, APIRoute) and route.path == path]
    return {method for route in routes for method in route.methods or ()}


def send_answer(answer: Answer) -> Response:
    """The stored bytes, as they are."""
    headers = _REPLAYED if answer.replayed else None
    return Response(answer.body.encode(), answer.status, headers, "application/json")


def send_view(view: dict[str, Any], status: int = 200) -> Response:
    """An object as it is read, in the form that `domain.answers` gives it."""
    return Response(json.dumps(view, ensure_ascii=False, separators=(",", ":")), status, media_type="application/json")


def object_id(answer: Answer) -> str:
    """The id of the object in an answer, for the record of the visit; it comes first, so nothing is parsed."""
    found = _ID.match(answer.body)
    return found[1] if found else ""
