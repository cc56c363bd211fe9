"""The acquirer's HTTP API, and `/_control`, which no real bank has: a FastAPI app of thin routes on bytes."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson
import uvicorn
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cleartill.simulator.acquirer import STATEMENT_PAGE, Acquirer, Entry, RefusalError
from cleartill.simulator.book import Book, BookError
from cleartill.simulator.cards import SLOW_S, Fault, card_behaviour
from cleartill.simulator.conduct import Conduct, ConductError
from cleartill.simulator.orders import Kind, Order, OrderError, read_order, read_reference, read_time
from cleartill.simulator.transfers import Callback, Post, Transfers

BODY_MAX = 64 * 1024
SILENCE_S = 30.0
"""How long a "timeout" keeps the caller waiting before the line is cut, unless the caller leaves first."""

_ABORT = "cleartill.abort"
"""The ASGI extension by which a route can break its own connection; `_Protocol` provides it."""

Handler = Callable[[Request], Awaitable[Response]]


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with the means to reset the connection in `scope["extensions"]`."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_ABORT: self._abort}  # type: ignore[dict-item]

    def _abort(self) -> None:
        if self.transport.is_closing():  # the caller has left already
            return
        endpoint = self.transport.get_extra_info("socket")
        # Linger 0: closing sends RST instead of FIN, as a crashing peer or an impatient middlebox does.
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class _Reset(Response):
    """No answer at all: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"][_ABORT]()
        while (await receive())["type"] != "http.disconnect":
            pass


class Bank:
    """The routes, over one acquirer and its conduct."""

    def __init__(self, acquirer: Acquirer, conduct: Conduct, transfers: Transfers) -> None:
        self._acquirer = acquirer
        self._conduct = conduct
        self._transfers = transfers

    def routes(self) -> list[Route]:
        """Every path the bank knows."""
        follow_up = "/v1/authorizations/{authorization_id}"
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/v1/authorizations", self._ordering(Kind.AUTHORIZATION)),
            ("POST", f"{follow_up}/captures", self._ordering(Kind.CAPTURE)),
            ("POST", f"{follow_up}/void", self._ordering(Kind.VOID)),
            ("POST", "/v1/refunds", self._ordering(Kind.REFUND)),
            ("POST", "/v1/transfers", self._ordering(Kind.TRANSFER)),
            ("GET", "/v1/operations/{reference}", self._guarded(self._operation)),
            ("POST", "/v1/operations/{reference}/cancel", self._guarded(self._cancel)),
            ("GET", "/v1/statement", self._guarded(self._statement)),
            ("GET", "/health", self._guarded(self._health)),
            ("GET", "/_control", self._control),
            ("PUT", "/_control", self._control),
        ]
        return [Route(path, handler, methods=[method]) for method, path, handler in table]

    def _ordering(self, kind: Kind) -> Handler:
        async def handle(request: Request) -> Response:
            order = read_order(kind, await _body(request), request.path_params.get("authorization_id"))
            if request.headers.get("idempotency-key", order.reference) != order.reference:
                raise OrderError("Idempotency-Key is not the reference")
            return await self._suffer(request, order)

        return self._guarded(handle)

    def _guarded(self, handle: Handler) -> Handler:
        """Turn the bank's refusals into answers, and play the bank that is down or slow."""

        async def guarded(request: Request) -> Response:
            if self._conduct.down:
                return _refusal(503, "down", "the bank is down")
            if pause_s := self._conduct.pause_s():
                await asyncio.sleep(pause_s)
            try:
                return await handle(request)
            except OrderError as error:
                return _refusal(400, "bad_request", str(error))
            except RefusalError as error:
                return _refusal(error.status, error.code, str(error))
            except BookError:
                return _refusal(503, "book_broken", "the bank cannot write its book")
            except ClientDisconnect:
                return _Reset()

        return guarded

    async def _suffer(self, request: Request, order: Order) -> Response:
        """Perform an order, or fail to, or perform it and fail to say so. A repeat is just answered."""
        if await self._acquirer.operation(order.reference) is not None:
            return _answer(await self._acquirer.perform(order))
        fault = card_behaviour(order.card.number).fault if order.card is not None else None
        fault = fault or self._conduct.fault()
        if fault is Fault.SLOW:
            await asyncio.sleep(SLOW_S)
        if fault is not None and not fault.acts:
            if fault is Fault.ERROR_500:
                return _refusal(500, "internal_error", "the bank failed before it acted")
            return await _silence(request)
        entry = await self._acquirer.perform(order)
        if order.kind is Kind.TRANSFER:
            self._transfers.settle_later(order.reference)
        if fault is Fault.RESET:
            return _Reset()
        if fault is Fault.TIMEOUT_AFTER:
            return await _silence(request)
        if fault is Fault.MALFORMED:
            return Response(entry.answer[: len(entry.answer) // 2], entry.status, media_type="application/json")
        return _answer(entry)

    async def _operation(self, request: Request) -> Response:
        entry = await self._acquirer.operation(request.path_params["reference"])
        if entry is None:
            raise RefusalError(404, "unknown_operation", "nothing is known under this reference so far")
        return Response(entry.answer, media_type="application/json")

    async def _cancel(self, request: Request) -> Response:
        entry = await self._acquirer.cancel(read_reference(request.path_params["reference"]))
        return Response(entry.answer, media_type="application/json")

    async def _statement(self, request: Request) -> Response:
        since, limit = request.query_params.get("since", "0"), request.query_params.get("limit", "1000")
        after = int(since) if since.isdecimal() and len(since) < 16 else read_time(since)
        if not (limit.isdecimal() and len(limit) <= 4 and 1 <= int(limit) <= STATEMENT_PAGE):
            raise OrderError(f"limit is not 1 to {STATEMENT_PAGE}")
        entries, end, more = await self._acquirer.statement(after, int(limit))
        rows = b",".join(entry.answer for entry in entries)
        body = b'{"entries":[%b],"next":%d,"has_more":%b}' % (rows, end, orjson.dumps(more))
        return Response(body, media_type="application/json")

    async def _health(self, _: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def _control(self, request: Request) -> Response:
        if request.client is None or request.client.host not in ("127.0.0.1", "::1"):
            return _refusal(404, "not_found", "no such path")
        if request.method == "PUT":
            try:
                settings = orjson.loads(await _body(request))
                self._conduct.change(settings if isinstance(settings, dict) else {"body": settings})
            except (OrderError, ConductError, orjson.JSONDecodeError) as error:
                return _refusal(422, "bad_conduct", str(error))
        return Response(orjson.dumps(self._conduct.describe()), media_type="application/json")


def create_bank(acquirer: Acquirer, conduct: Conduct | None = None, callback: Callback | None = None) -> FastAPI:
    """The bank as an ASGI app; its lifespan starts and stops the book and the transfers."""
    conduct = conduct or Conduct()
    transfers = Transfers(acquirer, conduct, callback)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        acquirer.book.start()
        transfers.start()
        yield
        await transfers.stop()
        await acquirer.book.stop()

    bank = FastAPI(title="cleartill's bank", lifespan=lifespan, openapi_url=None)
    bank.router.routes.extend(Bank(acquirer, conduct, transfers).routes())
    return bank


def bank_server(bank: FastAPI, *, host: str = "127.0.0.1", port: int = 1080) -> uvicorn.Server:
    """A uvicorn server for the app: uvloop, httptools, no access log."""
    config = uvicorn.Config(
        bank,
        host=host,
        port=port,
        loop="uvloop",
        http=_Protocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=4096,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 1080,
    book_path: Path | None,
    delay_ms: int = 0,
    jitter_ms: int = 0,
    seed: int = 1,
    callback_url: str | None = None,
    callback_secret: bytes = b"",
    post: Post | None = None,
) -> None:
    """Run the bank until SIGINT or SIGTERM. Without `book_path` it is the instant bank, which forgets.

    With `post` and `callback_url` the end of each transfer is reported there, signed with `callback_secret`.
    Raises `BookError` if another bank has the book, or it is damaged.
    """
    callback = Callback(post, callback_url, callback_secret) if post and callback_url else None
    acquirer = Acquirer(Book(book_path))
    bank_server(create_bank(acquirer, Conduct(delay_ms, jitter_ms, seed), callback), host=host, port=port).run()


def _answer(entry: Entry) -> Response:
    return Response(entry.answer, entry.status, media_type="application/json")


def _refusal(status: int, code: str, detail: str) -> Response:
    return Response(orjson.dumps({"code": code, "detail": detail}), status, media_type="application/json")


async def _body(request: Request) -> bytes:
    """The request's body, of at most 64 KiB. Raises `OrderError`."""
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > BODY_MAX:
            raise OrderError("the body is over 64 KiB")
    return bytes(chunks)


async def _silence(request: Request) -> Response:
    """Say nothing until the caller leaves, or 30 s have passed; then break the connection."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SILENCE_S):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    return _Reset()
