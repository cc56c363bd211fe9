"""A stand-in for Datadog's agent that reads everything and forgets it: traces by HTTP, metrics by UDP.

.venv/bin/python scripts/deaf_agent.py HTTP_PORT UDP_PORT
"""

import asyncio
import sys

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"
HEAD_MAX, BODY_MAX = 16 * 1024, 32 * 1024 * 1024


async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Requests of one connection, one after another, with a length or in chunks."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"chunked" in head:
                await reader.readuntil(b"0\r\n\r\n")
            elif b"content-length:" in head:
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(min(length, BODY_MAX))
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(http_port: int, udp_port: int) -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", udp_port)
    )
    server = await asyncio.start_server(hear, "127.0.0.1", http_port, limit=BODY_MAX)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
