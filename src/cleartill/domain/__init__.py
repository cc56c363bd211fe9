"""The nouns of the business: plain Python, standard library only, no I/O.

A domain method checks the rules, changes the object and returns the facts it caused. Status codes, SQL, topics and
metric names are unknown here, with one exception, chosen knowingly: `answers` renders the answer a caller gets,
because the resolver must be able to store it under an idempotency key without knowing the HTTP routes.
"""
