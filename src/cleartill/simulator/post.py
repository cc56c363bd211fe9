"""The bank's HTTP client, for its callbacks: the standard library in a thread, no redirects, no proxies, no retries."""

import asyncio
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

TIMEOUT_S = 5.0


async def post(url: str, body: bytes) -> None:
    """Send a JSON body. Raises OSError or http.client.HTTPException unless it is answered with 2xx."""
    await asyncio.to_thread(_post, url, body)


def _post(url: str, body: bytes) -> None:
    address = urlsplit(url)
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=TIMEOUT_S)
    path = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise ConnectionError(f"answered {status}")
