"""The acquirer's HTTP API, and `/_control`, which no real bank has: a FastAPI app of thin routes on bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import orjson
import uvicorn
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cleartill.simulator.acquirer import STATEMENT_PAGE, Acquirer, Entry, RefusalError
from cleartill.simulator.book import Book, BookError
from cleartill.simulator.callbacks import Callback, Callbacks, Post
from cleartill.simulator.cards import SLOW_S, Fault, card_behaviour
from cleartill.simulator.challenges import Challenge, Challenges
from cleartill.simulator.conduct import Conduct, ConductError
from cleartill.simulator.orders import (
    Kind,
    Order,
    OrderError,
    is_web_address,
    read_order,
    read_reference,
    read_time,
)
from cleartill.simulator.page import HEADERS, challenge_page, unknown_page
from cleartill.simulator.post import post as post_json
from cleartill.simulator.silence import AbortableProtocol, Reset, silence
from cleartill.simulator.transfers import Transfers

BODY_MAX = 64 * 1024

Handler = Callable[[Request], Awaitable[Response]]


class Bank:
    """The routes, over one acquirer and its conduct. `public_url`: where payers reach it; None: where callers do."""

    def __init__(
        self,
        acquirer: Acquirer,
        conduct: Conduct,
        transfers: Transfers,
        challenges: Challenges,
        public_url: str | None = None,
    ) -> None:
        self._acquirer = acquirer
        self._conduct = conduct
        self._transfers = transfers
        self._challenges = challenges
        self._public_url = public_url

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
            ("GET", "/3ds/{challenge_id}", self._guarded(self._challenge)),
            ("POST", "/3ds/{challenge_id}", self._guarded(self._answer_challenge)),
            ("GET", "/_control", self._control),
            ("PUT", "/_control", self._control),
        ]
        return [Route(path, handler, methods=[method]) for method, path, handler in table]

    def _ordering(self, kind: Kind) -> Handler:
        async def handle(request: Request) -> Response:
            public_url = self._public_url or _own_address(request)
            order = read_order(kind, await _body(request), request.path_params.get("authorization_id"), public_url)
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
                return Reset()

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
            return await silence(request)
        entry = await self._acquirer.perform(order)
        if order.kind is Kind.TRANSFER:
            self._transfers.settle_later(order.reference)
        if fault is Fault.RESET:
            return Reset()
        if fault is Fault.TIMEOUT_AFTER:
            return await silence(request)
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

    async def _challenge(self, request: Request) -> Response:
        return _page(await self._challenges.look(request.path_params["challenge_id"]))

    async def _answer_challenge(self, request: Request) -> Response:
        form = parse_qs((await _body(request)).decode("utf-8", "replace"))
        outcome = form.get("outcome")
        if outcome not in (["approve"], ["refuse"]):
            raise OrderError("outcome is neither approve nor refuse")
        challenge_id = request.path_params["challenge_id"]
        return _page(await self._challenges.answer(challenge_id, approved=outcome == ["approve"]))

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


def create_bank(
    acquirer: Acquirer,
    conduct: Conduct | None = None,
    callback: Callback | None = None,
    public_url: str | None = None,
) -> FastAPI:
    """The bank as an ASGI app; its lifespan starts and stops the book, the transfers and the callbacks."""
    conduct = conduct or Conduct()
    callbacks = Callbacks(acquirer, callback)
    transfers = Transfers(acquirer, conduct, callbacks)
    challenges = Challenges(acquirer, callbacks)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        acquirer.book.start()
        transfers.start()
        callbacks.start()
        yield
        await transfers.stop()
        await callbacks.stop()
        await acquirer.book.stop()

    bank = FastAPI(title="cleartill's bank", lifespan=lifespan, openapi_url=None)
    bank.router.routes.extend(Bank(acquirer, conduct, transfers, challenges, public_url).routes())
    return bank


def bank_server(bank: FastAPI, *, host: str = "127.0.0.1", port: int = 1080) -> uvicorn.Server:
    """A uvicorn server for the app: uvloop, httptools, no access log."""
    config = uvicorn.Config(
        bank,
        host=host,
        port=port,
        loop="uvloop",
        http=AbortableProtocol,
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
    public_url: str | None = None,
    transfer_delay_s: tuple[float, float] | None = None,
    transfer_fail_rate: float = 0.1,
    post: Post = post_json,
) -> None:
    """Run the bank until SIGINT or SIGTERM. Without `book_path` it is the instant bank, which forgets.

    The end of each transfer and challenge is reported to `callback_url`, signed with `callback_secret`. Payers reach
    the bank at `public_url`; without it, where its callers do. `transfer_delay_s`: the range in which a transfer ends.
    Raises `BookError` if another bank has the book, or it is damaged; ValueError for an address that is none.
    """
    if not all(address is None or is_web_address(address) for address in (callback_url, public_url)):
        raise ValueError("callback_url and public_url begin with http:// or https://")
    public_url = public_url.rstrip("/") if public_url else None
    callback = Callback(post, callback_url, callback_secret) if callback_url else None
    conduct = Conduct(delay_ms, jitter_ms, seed)
    conduct.transfer_fail_rate = transfer_fail_rate
    conduct.transfer_delay_s = transfer_delay_s or conduct.transfer_delay_s
    bank = create_bank(Acquirer(Book(book_path)), conduct, callback, public_url)
    bank_server(bank, host=host, port=port).run()


def _answer(entry: Entry) -> Response:
    return Response(entry.answer, entry.status, media_type="application/json")


def _page(challenge: Challenge | None) -> Response:
    if challenge is None:
        return HTMLResponse(unknown_page(), 404, HEADERS)
    return HTMLResponse(challenge_page(challenge), 410 if challenge.status == "cancelled" else 200, HEADERS)


def _own_address(request: Request) -> str:
    """The bank's address as its caller wrote it. Raises `OrderError`."""
    address = f"{request.scope['scheme']}://{request.headers.get('host', 'localhost')}"
    if is_web_address(address):
        return address
    raise OrderError("Host is not a host and a port")


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
