"""What keeps cards."""

from typing import Protocol

from cleartill.domain.card import Card, SealedCard


class Vault(Protocol):
    def seal(self, card: Card, merchant_id: str) -> SealedCard: ...

    def open(self, sealed: SealedCard) -> Card:
        """Raises VaultError if it was tampered with or moved to another merchant or row."""
        ...

    def rewrap(self, sealed: SealedCard) -> SealedCard:
        """The same card, its data key under the current key-encryption key."""
        ...

    @property
    def key_version(self) -> int:
        """The key-encryption key that new cards are sealed under."""
        ...

    def mark(self, purpose: str, text: str) -> str:
        """A keyed HMAC-SHA-256 in hex: equal for equal texts, telling nothing else."""
        ...
