"""Erase a stored card, for good."""

from cleartill.domain.errors import NotFound
from cleartill.ports import Origin, Till


async def erase_card(till: Till, merchant_id: str, card_token: str, origin: Origin) -> None:
    """Take the card out of the vault; what may be shown of it stays with the payments that were made with it.

    A payment that has opened the card already goes on with it; the next one finds no such card. Raises NotFound if it
    is not there, is another merchant's, or was erased before; BooksUnavailable.
    """
    sealed = await till.books.card(merchant_id, card_token)
    if not await till.books.erase_card(merchant_id, card_token, sealed.erased(till.clock.now()), origin):
        raise NotFound  # somebody else was faster
