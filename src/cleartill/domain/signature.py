"""The signature of the bank's callbacks: HMAC-SHA256 in hex over the canonical JSON without `signature`."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

SIGNATURE = "signature"


def canonical(document: Mapping[str, Any], *, ascii_only: bool = False) -> bytes:
    """What is signed: sorted keys, no blanks, without `signature`. `ascii_only`: other letters as `\\uXXXX`."""
    signed = {name: value for name, value in document.items() if name != SIGNATURE}
    text = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=ascii_only)
    return text.encode("utf-8", "surrogatepass")


def sign(document: Mapping[str, Any], secret: bytes) -> str:
    """The signature of a document, 64 hex digits. Raises ValueError for an empty secret."""
    if not secret:
        raise ValueError("the secret is empty: everybody could sign")
    return hmac.new(secret, canonical(document), hashlib.sha256).hexdigest()


def verify(document: Mapping[str, Any], secret: bytes) -> bool:
    """Whether `signature` in a document is right, in constant time. An empty secret verifies nothing.

    Letters beyond ASCII may be signed as they are or as `\\uXXXX`: writers of JSON differ, and both say the same.
    """
    claimed = document.get(SIGNATURE)
    if not secret or not isinstance(claimed, str):
        return False
    given = claimed.encode("utf-8", "surrogatepass")
    try:
        spellings = (canonical(document), canonical(document, ascii_only=True))
    except RecursionError:  # nested so deeply that nobody meant it
        return False
    right = [
        hmac.compare_digest(given, hmac.new(secret, spelling, hashlib.sha256).hexdigest().encode())
        for spelling in spellings
    ]
    return any(right)
