"""How many requests a caller may make a minute: the rules, and what the headers say of them.

Every answer to a request that counted carries `RateLimit` and `RateLimit-Policy` in the form of
draft-ietf-httpapi-ratelimit-headers-09 (March 2025), and the older `X-RateLimit-*`, of the rule that is nearest to its
end; `X-RateLimit-Reset` is Unix time. A window slides: one more fits when the oldest request that counts is forgotten.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from cleartill.api.desk import desk
from cleartill.api.errors import MEDIA_TYPE, RateLimited
from cleartill.ports import Clock, Quota, Standing
from cleartill.ports.limiter import WINDOW_S


class Rule(StrEnum):
    """What is counted, and for whom."""

    GLOBAL = "global"
    """All requests of a merchant."""
    BALANCE = "balance"
    """Of a merchant."""
    TRANSACTIONS = "transactions"
    """Lists of them, of a merchant."""
    LOGIN = "login"
    """Of an address."""
    CONSOLE_TRANSACTIONS = "console_transactions"
    """Lists of them, of a session of the console, which does not count under the merchant's own."""


OF_A_SESSION: Mapping[Rule, Rule] = {Rule.TRANSACTIONS: Rule.CONSOLE_TRANSACTIONS}
"""What counts for a session in another's place."""


def quotas(per_minute: Mapping[str, int]) -> Mapping[str, Quota]:
    """Rule → quota; a rule that is not named, or is 0, does not exist. Raises ValueError for an unknown rule."""
    return {Rule(name): Quota(name, most) for name, most in per_minute.items() if most}


async def spend(request: Request, rule: Rule, whose: str) -> None:
    """Count the request under a rule, if there is one. Raises RateLimited."""
    at = desk(request)
    quota = at.quotas.get(rule)
    if quota is None:
        return
    standing = await at.till.limiter.take(quota, whose)
    request.scope.setdefault("cleartill.standings", []).append(standing)
    if not standing.allowed:
        at.till.watch.count("ratelimit.rejected", rule=rule.value)
        raise RateLimited(quota.name, quota.most, standing.reset_s)


def address_of(request: Request) -> str:
    """Whose attempts count together: the peer's address; behind proxies that are trusted (`TRUSTED_PROXIES`) the last
    one in `X-Forwarded-For` that is none of them. What anybody else writes there is not believed. Of IPv6 the network,
    since a household has 2^64 addresses."""
    trusted = desk(request).trusted_proxies
    said = b",".join([value for name, value in request.scope["headers"] if name == b"x-forwarded-for"])
    client, address = request.scope.get("client"), ""
    for hop in (client[0] if client else "", *reversed(said.decode("latin-1").split(","))):
        try:
            found = ip_address(hop.strip())
        except ValueError:  # no address: as far as it is known
            break
        found = getattr(found, "ipv4_mapped", None) or found
        address = str(found) if found.version == 4 else str(ip_network((found, 64), strict=False))
        if not any(found in network for network in trusted if network.version == found.version):
            break
    return address


def headers_of_standings(scope: Scope, clock: Clock) -> list[tuple[bytes, bytes]]:
    """What an answer says of the rules that the request counted under."""
    standings: Sequence[Standing] | None = scope.get("cleartill.standings")
    if not standings:
        return []
    nearest = min(standings, key=lambda standing: (standing.allowed, standing.left))
    policy = ", ".join([f'"{standing.quota.name}";q={standing.quota.most};w={WINDOW_S}' for standing in standings])
    limit = ", ".join([f'"{one.quota.name}";r={one.left};t={math.ceil(one.reset_s)}' for one in standings])
    return [
        (b"ratelimit-policy", policy.encode()),
        (b"ratelimit", limit.encode()),
        (b"x-ratelimit-limit", b"%d" % nearest.quota.most),
        (b"x-ratelimit-remaining", b"%d" % nearest.left),
        (b"x-ratelimit-reset", b"%d" % math.ceil(clock.now().timestamp() + nearest.reset_s)),
    ]


def _header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


TOO_MANY: dict[str, Any] = {
    "description": "More requests a minute than this merchant may make",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    "headers": {
        "Retry-After": _header("Seconds until one more request fits.", "7"),
        "RateLimit-Policy": _header("The rules: quota and window in seconds.", '"global";q=1000;w=60'),
        "RateLimit": _header("Requests left, and seconds until one more fits.", '"global";r=0;t=7'),
        "X-RateLimit-Limit": _header("Requests a minute, of the rule nearest to its end.", "1000"),
        "X-RateLimit-Remaining": _header("Requests left under it.", "0"),
        "X-RateLimit-Reset": _header("Unix time at which one more fits.", "1767225600"),
    },
}
"""What OpenAPI says of a 429; `docs` adds it wherever a key is needed. Ordinary answers have all but the first header.
"""
