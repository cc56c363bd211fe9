"""The web console: static files, a client of the public API like any other, and nothing else.

ES modules and style sheets as they are written, without a build: what is reviewed is what runs. A browser asks again on
every load whether its copy is still good (ETag, 304), so that an upgrade is seen at once and costs one round trip.
A file is read anew when it has changed, so editing one and reloading the page is all there is to working on it.
"""

import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ASSETS = Path(__file__).parent / "assets"
MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
}
"""Of every file. `X-Content-Type-Options` comes with all answers of the API."""
_MAX_FILES = 256
_NAME = re.compile(r"(?:[a-z0-9_]{1,40}/){0,3}[a-z0-9_]{1,40}\.(?:js|css|svg)", re.ASCII)
"""No dot but the one of the ending, so no name leads out of the folder."""


def add_console(app: Starlette) -> None:
    """`/console` and all pages below it, which are one document; `/console/assets/…`, its files."""
    app.router.routes.extend(
        [
            Route("/console/assets/{name:path}", _asset, methods=["GET"]),
            Route("/console", _page, methods=["GET"]),
            Route("/console/{page:path}", _page, methods=["GET"]),
        ]
    )


async def _page(request: Request) -> Response:
    return _send(request, "/console", "index.html")


async def _asset(request: Request) -> Response:
    name: str = request.path_params["name"]
    if not _NAME.fullmatch(name):
        raise HTTPException(404)
    return _send(request, "/console/assets", name)


def _send(request: Request, route: str, name: str) -> Response:
    """Raises HTTPException 404. Files are small and stay in memory: telling whether one has changed takes 2 µs."""
    request.scope["cleartill.visit"].route = f"{request.method} {route}"
    path = ASSETS / name
    try:
        seen = path.stat()
        body, etag = _read(path, seen.st_mtime_ns, seen.st_size)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise HTTPException(404) from None
    headers = {**HEADERS, "ETag": etag}
    if _has(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(len(body))
    shown = body if request.method == "GET" else b""
    return Response(shown, headers=headers, media_type=MEDIA_TYPES[path.suffix[1:]])


@lru_cache(_MAX_FILES)
def _read(path: Path, _mtime_ns: int, _size: int) -> tuple[bytes, str]:
    body = path.read_bytes()
    return body, f'"{sha256(body).hexdigest()[:32]}"'


def _has(if_none_match: str, etag: str) -> bool:
    """Compared weakly, as RFC 9110 (13.1.2) asks: a proxy that compresses may have weakened it."""
    sent = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return etag in sent or "*" in sent
