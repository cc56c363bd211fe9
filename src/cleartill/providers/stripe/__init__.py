"""Stripe: `provider` asks it; `answers`, `amounts`, `declines` read its words; `callbacks` reads what it tells us.

Only `provider` and `callbacks` import the `stripe` package (0.26 s and 30 MB), so that who has no key does not pay
for it.
"""
