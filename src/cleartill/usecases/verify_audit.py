"""Verify the audit chain: every seal made anew from its row, and held against heads that are known from elsewhere."""

from collections.abc import Awaitable, Callable, Iterable

from cleartill.domain.audit_chain import Head
from cleartill.domain.audit_walk import Verdict, Walk
from cleartill.domain.errors import Unavailable
from cleartill.ports import Till

MAX_PAGES = 10_000_000


async def verify_audit(
    till: Till,
    kept: Iterable[Head] = (),
    published: Iterable[Head] = (),
    progress: Callable[[int], Awaitable[None]] | None = None,
) -> Verdict:
    """The chain as far as it goes now, whatever is sealed meanwhile. `kept` and `published`: see `Walk`; they must have
    been read before this is called, or they may be ahead of the chain that it looks at. `progress` hears how many rows
    there have been after each page. Raises Unavailable if it cannot be brought to its end: then nothing is known.
    """
    chain = await till.chain.chain()
    walk, after = Walk(chain.head, chain.began_at, kept, published), 0
    for _ in range(MAX_PAGES):
        page = await till.chain.sealed(after, chain.head.number)
        if not page:
            return walk.end(await till.chain.strays())
        walk.take(page)
        after = page[-1].number
        if progress is not None:
            await progress(walk.rows)
    raise Unavailable("There is no end of the audit chain")
