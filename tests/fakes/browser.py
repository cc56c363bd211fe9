"""A client as a person's browser: logged in, with a cookie and the token of its page."""

import httpx

from cleartill.domain.merchant import DEMO_API_KEY, DEMO_MERCHANT_ID

LOGIN = "/api/v1/auth/login"
EMAIL = f"{DEMO_MERCHANT_ID}@merchant.example"
"""The demo merchant's, in the fakes' world."""


async def log_in(client: httpx.AsyncClient, key: str = DEMO_API_KEY, email: str = EMAIL) -> httpx.Response:
    """The client keeps the cookie, if it is one that may be sent back to it, and sends no key."""
    for name in ("Authorization", "X-API-Key"):
        client.headers.pop(name, None)
    answer = await client.post(LOGIN, json={"email": email, "api_key": key})
    assert answer.status_code == 200, answer.text
    client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
    return answer
