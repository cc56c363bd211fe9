"""The HTTP API: each file holds its routes and their request and response models.

Decisions. FastAPI describes the API (OpenAPI, models) and routes it; the path of a request is kept short by a route
class (`route.LeanRoute`) and one pure ASGI middleware (`arrival`), since FastAPI's own solving of dependencies, exit
stacks and response serialising cost more than all the rest of a payment's work in this layer. Bodies are parsed here
and not by FastAPI, because numbers must never pass through a float and a repeated key must be refused. Answers leave
as the bytes the use case made, so that a replay is the same byte for byte.
"""
