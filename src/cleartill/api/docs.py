"""The API's description: OpenAPI, its page under `/docs`, and what `/` says."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from cleartill.api.auth import SECURITY_SCHEMES
from cleartill.api.body import Body
from cleartill.api.desk import desk
from cleartill.api.errors import Problem, problems
from cleartill.api.limits import TOO_MANY
from cleartill.api.route import LeanRoute

OPENAPI_PATH = "/openapi.json"
DESCRIPTION = """\
A card-processing service you can see through.

**Money** is in major units, as a number or a string, read exactly: `99.99`, `"99.99"`, `500`.
**Declines** are outcomes (`status: failed`, `decline`), not errors.
**In doubt** (202): the bank has not said what became of it; it is being resolved, and reading it again tells.
**Errors** are RFC 9457 problems with a `code`, a `trace_id` and `retryable`.
"""
_TAGS = [
    {"name": "payments", "description": "Charge cards, and read what became of it."},
    {"name": "refunds", "description": "Give back all or part of a payment."},
    {"name": "cards", "description": "Cards that are kept: what may be shown of them, and erasing them."},
    {"name": "transfers", "description": "Deposits and withdrawals, between the balance and the merchant's bank."},
    {"name": "accounts", "description": "A merchant's balance, and all that moved it."},
    {"name": "merchants", "description": "Merchants, and the API keys they act with."},
    {"name": "console", "description": "What the console stands on: sessions of people."},
    {"name": "webhooks", "description": "Where merchants hear of events, and what was told to them."},
    {"name": "developers", "description": "What there is to be tried and heard: test cards, events."},
    {"name": "pictures", "description": "Figures for merchants and operators: counts, sums, rates, latencies."},
    {"name": "health", "description": "For load balancers and operators; no key needed."},
]
router = APIRouter(tags=["health"], route_class=LeanRoute)


class IndexView(BaseModel):
    name: str
    what: str
    version: str
    environment: str
    links: dict[str, str]


@router.get("/", summary="What this is", responses={200: {"model": IndexView}, **problems()})
async def index(request: Request) -> Response:
    """Its name, its version, and where to go from here."""
    at = desk(request)
    links = {"health": "/health", "payments": "/api/v1/payments/process"}
    if request.app.state.docs:
        links |= {"docs": "/docs", "openapi": OPENAPI_PATH}
    what = "A card-processing service you can see through"
    return JSONResponse(
        {"name": "cleartill", "what": what, "version": at.version, "environment": at.environment, "links": links}
    )


def _bodies(of: type[Body] = Body) -> list[type[Body]]:
    """Every kind of body there is, however many files they are in."""
    return [kind for child in of.__subclasses__() for kind in (child, *_bodies(child))]


def describe(app: FastAPI, version: str) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's, and the schemas of the bodies that the routes read themselves."""
    document = get_openapi(title="cleartill", version=version, description=DESCRIPTION, routes=app.routes, tags=_TAGS)
    models: list[type[BaseModel]] = [*_bodies(), Problem]
    _, own = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    components = document.setdefault("components", {})
    schemas = {**components.get("schemas", {}), **own["$defs"]}
    for theirs in ("HTTPValidationError", "ValidationError"):
        schemas.pop(theirs, None)
    components["schemas"] = dict(sorted(schemas.items()))
    components["securitySchemes"] = SECURITY_SCHEMES
    for path in document["paths"].values():
        for operation in path.values():
            if operation.get("security"):
                operation["responses"]["429"] = TOO_MANY
            if operation["responses"].get("422", {}).get("description") == "Validation Error":
                del operation["responses"]["422"]  # FastAPI's own; a path's id is text, and unknown text is 404
    return document


def add_docs(app: FastAPI, version: str) -> None:
    """`/openapi.json`, and `/docs` from files of our own: the page asks no other host."""
    made: dict[str, Any] = {}

    async def openapi(_request: Request) -> Response:
        if not made:
            made.update(describe(app, version))
        return JSONResponse(made)

    async def page(_request: Request) -> Response:
        return get_swagger_ui_html(
            openapi_url=OPENAPI_PATH,
            title="cleartill",
            swagger_js_url="/docs/files/swagger-ui-bundle.js",
            swagger_css_url="/docs/files/swagger-ui.css",
            swagger_favicon_url="/docs/files/favicon.png",
        )

    app.add_route(OPENAPI_PATH, openapi, include_in_schema=False)
    app.add_route("/docs", page, include_in_schema=False)
    app.mount("/docs/files", StaticFiles(packages=[("fastapi_offline", "static")]))
