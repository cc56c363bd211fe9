"""Everything the business refuses, as one tree.

CleartillError
├── Invalid                 what was sent makes no sense
│   ├── InvalidAmount · UnknownCurrency · InvalidCard · InvalidCallback · InvalidUrl
├── Refused                 it makes sense, and it cannot be done
│   ├── ForbiddenStep       the state does not allow it
│   ├── ExceedsLeft         more than is left to capture or refund
│   ├── InsufficientFunds   more than the balance has
│   ├── InDoubtNow          wait until the open attempt is resolved
│   ├── EmailTaken · TooManyKeys · TooManyEndpoints · EndpointDisabled
│   └── IdempotencyKeyReused · IdempotencyInProgress
├── NotFound                absent, or another merchant's: nobody can tell
├── Unauthenticated (BadSignature · LoginFailed) · MissingScope · NotYourMerchant
└── Unavailable             nothing was sent; try again later
    ├── ProviderUnavailable breaker open, bulkhead full, connection refused
    └── BooksUnavailable    the books cannot be written now
"""


class CleartillError(Exception):
    """`code` is for programs, the message for people; neither ever holds a value that a caller sent."""

    code = "error"


class Invalid(CleartillError):
    code = "invalid"


class InvalidAmount(Invalid):
    code = "invalid_amount"


class UnknownCurrency(Invalid):
    code = "unknown_currency"

    def __init__(self) -> None:
        super().__init__("must be an active ISO 4217 currency code")


class InvalidCard(Invalid):
    code = "invalid_card"


class InvalidCallback(Invalid):
    code = "invalid_callback"

    def __init__(self) -> None:
        super().__init__("This is no callback that we understand")


class InvalidUrl(Invalid):
    code = "invalid_url"


class Refused(CleartillError):
    code = "refused"


class ForbiddenStep(Refused):
    code = "invalid_state"


class ExceedsLeft(Refused):
    code = "amount_too_large"

    def __init__(self, verb: str, left_minor: int, shown: str) -> None:
        super().__init__(f"Cannot {verb} more than is left: {shown}")
        self.left_minor = left_minor


class InsufficientFunds(Refused):
    code = "insufficient_funds"

    def __init__(self, there_minor: int, shown: str) -> None:
        super().__init__(f"Cannot withdraw more than is there: {shown}")
        self.there_minor = there_minor


class InDoubtNow(Refused):
    code = "in_doubt"
    retry_after_s = 5


class IdempotencyKeyReused(Refused):
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This idempotency key was used with another request body")


class IdempotencyInProgress(Refused):
    code = "idempotency_in_progress"
    retry_after_s = 1

    def __init__(self) -> None:
        super().__init__("The first request with this idempotency key is still running")


class EmailTaken(Refused):
    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("This e-mail address has an account already")


class TooManyKeys(Refused):
    code = "too_many_keys"

    def __init__(self, most: int) -> None:
        super().__init__(f"A merchant may have {most} keys that are not revoked; revoke one first")


class TooManyEndpoints(Refused):
    code = "too_many_endpoints"

    def __init__(self, most: int) -> None:
        super().__init__(f"A merchant may have {most} webhook endpoints; delete one first")


class EndpointDisabled(Refused):
    code = "endpoint_disabled"

    def __init__(self) -> None:
        super().__init__("The webhook endpoint is disabled; enable it first")


class NotFound(CleartillError):
    code = "not_found"

    def __init__(self) -> None:
        super().__init__("There is no such object")


class Unauthenticated(CleartillError):
    code = "unauthenticated"

    def __init__(self) -> None:
        super().__init__("A valid API key is needed")


class BadSignature(Unauthenticated):
    code = "bad_signature"

    def __init__(self) -> None:
        CleartillError.__init__(self, "The callback is not signed by its provider, or was signed too long ago")


class LoginFailed(Unauthenticated):
    """Whatever is wrong: an e-mail address is never looked up, so nobody learns which ones there are."""

    code = "login_failed"

    def __init__(self) -> None:
        CleartillError.__init__(self, "This e-mail address and this API key do not belong together")


class MissingScope(CleartillError):
    code = "missing_scope"


class NotYourMerchant(CleartillError):
    code = "not_your_merchant"

    def __init__(self) -> None:
        super().__init__("merchant_id must be the key's own merchant")


class Unavailable(CleartillError):
    code = "unavailable"
    retry_after_s = 1


class ProviderUnavailable(Unavailable):
    code = "provider_unavailable"


class BooksUnavailable(Unavailable):
    code = "books_unavailable"
