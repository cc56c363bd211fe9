"""The HTTP API: each file holds its routes and their request and response models.

Decisions. FastAPI describes the API (OpenAPI, models) and routes it; a request's way is kept short by a route class
(`route.LeanRoute`) and one pure ASGI middleware (`arrival`), with no other between server and router: 83 µs of CPU for
a `process` with its body, key and answer (one core, the use case faked). The middlewares that Starlette and FastAPI put
around every router, and a timer around the body, made it 101 µs; FastAPI's own way of calling an endpoint, 46 µs more.
With uvicorn's httptools protocol around it, it is 119 µs; with its bounds (`protocol`), 124 µs. Bodies are parsed here
and not by FastAPI, because numbers must never pass through a float and a repeated key must be refused. Answers leave as
the bytes the use case made, so that a replay is the same byte for byte. Card numbers are refused in every field but one
by Luhn *and* a known issuer's range: Luhn alone would refuse every tenth order number.
"""
