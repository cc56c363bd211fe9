#!/usr/bin/env python3
"""Listens for webhooks on this machine and says what it hears: a receiver to try endpoints with, and an example.

    .venv/bin/python scripts/hear_webhooks.py --port 9009 --secret whsec_…

Each message is verified as Standard Webhooks says, by its own package, before anything in it is believed.
"""

import argparse
import contextlib
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

BODY_MAX = 1 << 20


class Receiver:
    """A server on 127.0.0.1 that keeps what it is sent. `answer`: status and text of what it says."""

    def __init__(self, port: int = 0) -> None:
        self.answer = (200, "heard")
        self.heard: list[tuple[dict[str, str], str]] = []
        self._told = Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", "0")), BODY_MAX)
                body = self.rfile.read(length).decode(errors="replace")
                status, text = receiver.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())
                with receiver._told:
                    receiver.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
                    receiver._told.notify_all()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int, within_s: float) -> bool:
        """Whether so many messages have come in time."""
        with self._told:
            return self._told.wait_for(lambda: len(self.heard) >= count, within_s)


def verified(message: tuple[dict[str, str], str], secret: str) -> dict[str, Any] | None:
    """The event, or None if nobody who knows the secret has signed it, or not lately."""
    headers, body = message
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return None
    event: dict[str, Any] = json.loads(body)
    return event


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=9009)
    parser.add_argument("--secret", required=True, help="what the endpoint was given: whsec_…")
    parser.add_argument("--count", type=int, default=1000, help="how many to wait for")
    parser.add_argument("--within", type=float, default=3600.0, metavar="S", help="and how long")
    options = parser.parse_args()
    deadline = time.monotonic() + options.within
    with Receiver(options.port) as receiver:
        print(f"listening on {receiver.url}", flush=True)
        for number in range(options.count):
            if not receiver.wait_for(number + 1, deadline - time.monotonic()):
                return 1
            headers, _ = receiver.heard[number]
            event = verified(receiver.heard[number], options.secret)
            said = f"{event['type']} {event['subject']}" if event else "forged, or signed with another secret"
            print(f"{headers.get('webhook-id')}: {said}", flush=True)
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
