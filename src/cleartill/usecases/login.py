"""Log a person in to the console: the e-mail address and an API key of one and the same merchant."""

import hmac

from cleartill.domain.errors import LoginFailed
from cleartill.domain.merchant import Principal
from cleartill.domain.session import MARK, Session, is_token, new_token
from cleartill.ports import Origin, Till


async def login(
    till: Till, principal: Principal, email: str, *, instead_of: str | None, origin: Origin
) -> tuple[str, Session]:
    """A new session for whoever presented the principal's key, and its token, which is not kept. The session whose
    token is `instead_of` ends, if there is one. Raises LoginFailed if the address is not the merchant's.

    The address is compared with the key's merchant's, in constant time: nothing depends on whose else it may be.
    """
    merchant = await till.merchants.get(principal.merchant_id)
    if not hmac.compare_digest(email.lower().encode(), merchant.email.encode()):
        raise LoginFailed
    token = new_token()
    before = till.vault.mark(MARK, instead_of) if instead_of and is_token(instead_of) else None
    return token, await till.sessions.begin(till.vault.mark(MARK, token), principal, before, origin)
