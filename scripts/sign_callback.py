#!/usr/bin/env python3
"""Makes one signed callback of the bank by hand: prints its JSON body, and a curl line that sends it.

    scripts/sign_callback.py pay_01….authorize.1 success --amount-minor 9999 --currency USD

The transaction id is the reference that the bank was given: the attempt key. The secret is WEBHOOK_SECRET's, else the
public one of development.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))  # the signature needs nothing but Python: no environment has to be made first

from cleartill.domain.signature import SIGNATURE, sign  # noqa: E402

DEV_SECRET = "cleartill-development-only"
URL = "http://127.0.0.1:8000/webhooks/bank-callback"


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("transaction_id", help="the attempt key: pay_….authorize.1")
    parser.add_argument("status", choices=["success", "failed"])
    parser.add_argument("--bank-reference", default="bnk_by_hand", help="the bank's own name for it")
    parser.add_argument("--error-message", help="why it failed")
    parser.add_argument("--event-id", help="left out if not given")
    parser.add_argument("--occurred-at", default=datetime.now(UTC).isoformat(), help="ISO 8601; now if not given")
    parser.add_argument("--amount-minor", type=int, help="left out if not given")
    parser.add_argument("--currency", help="left out if not given")
    parser.add_argument("--url", default=URL)
    return parser.parse_args(given)


def signed(options: argparse.Namespace, secret: bytes) -> dict[str, Any]:
    """The callback with its signature."""
    optional = {name: getattr(options, name) for name in ("event_id", "occurred_at", "amount_minor", "currency")}
    report = {
        "transaction_id": options.transaction_id,
        "bank_reference": options.bank_reference,
        "status": options.status,
        "error_message": options.error_message,
        **{name: value for name, value in optional.items() if value is not None},
    }
    return report | {SIGNATURE: sign(report, secret)}


def main() -> int:
    options = arguments(sys.argv[1:])
    secret = os.environ.get("WEBHOOK_SECRET", DEV_SECRET)
    if not secret:
        print("WEBHOOK_SECRET is empty: everybody could sign", file=sys.stderr)
        return 2
    body = json.dumps(signed(options, secret.encode()), ensure_ascii=False)
    print(body)
    print(f"curl -sS -i -H 'Content-Type: application/json' -d {shlex.quote(body)} {shlex.quote(options.url)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
