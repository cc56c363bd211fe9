"""The verbs of the business: one file, one async function, named alike.

A use case reads like the rule it carries out: it asks the domain, hands the facts to the books and, where money
moves, asks a provider in the one shape that `attempt` holds. No SQL, no HTTP, no metrics; no third-party library.
"""
