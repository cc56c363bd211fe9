"""HTTP requests as flights: pure ASGI, outermost of all, so that what the others do is seen.

The flight ends when the response *and* all work the request has started have ended: who hangs up does not cut off the
record of an operation that goes on without him.
"""

from asyncio import CancelledError, Future
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import Token
from time import time_ns
from typing import Any

from cleartill.domain.errors import CleartillError
from cleartill.ports import Visit
from cleartill.telemetry.correlation import here, incoming
from cleartill.telemetry.flight import Flight, FlightDeck, current

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def watch_requests(app: App, flights: FlightDeck) -> App:
    """The app, with a `ports.Visit` in `scope["cleartill.visit"]` and a flight record around every request."""

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        flight = Flight("web.request", incoming(scope["headers"]), flights.share)
        spot = flight.spot(flight.span_id)
        visit = flight.visit = scope["cleartill.visit"] = Visit(*spot[:3])

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                flight.status = message["status"]
            await send(message)

        entered: Token[Flight | None] = current.set(flight)
        located = here.set(spot)
        flights.entered(flight)
        try:
            await app(scope, receive, answer)
        except CancelledError:
            flight.status = flight.status or CLIENT_GONE
            raise
        except BaseException as error:
            flight.error, flight.status = type(error).__name__, flight.status or 500
            raise
        finally:
            here.reset(located)
            current.reset(entered)
            flight.end_ns = time_ns()
            _land_after(visit, flight, flights)

    return watched


CLIENT_GONE = 499
"""The status of a request whose caller hung up before it was answered, as nginx calls it."""


def _land_after(visit: Visit, flight: Flight, flights: FlightDeck) -> None:
    """Render now, or as soon as the last future of the visit's work is done."""
    waiting = next((future for future in visit.work if not future.done()), None)
    if waiting is None:
        flight.error = flight.error or next(filter(None, map(_fault, visit.work)), "")
        flights.land(flight)
    else:
        waiting.add_done_callback(lambda _: _land_after(visit, flight, flights))


def _fault(future: Future[Any]) -> str:
    """The name of what a piece of work died of, if it is not one of the business's refusals."""
    if future.cancelled():
        return "CancelledError"
    error = future.exception()
    return "" if error is None or isinstance(error, CleartillError) else type(error).__name__
