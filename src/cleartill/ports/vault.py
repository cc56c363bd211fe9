"""What keeps cards, and secrets that we need in clear ourselves."""

from typing import Protocol

from cleartill.domain.card import Card, SealedCard, Secret


class Vault(Protocol):
    def seal(self, card: Card, merchant_id: str) -> SealedCard: ...

    def open(self, sealed: SealedCard) -> Card:
        """Raises VaultError if it was tampered with or moved to another merchant or row."""
        ...

    def rewrap(self, sealed: SealedCard) -> SealedCard:
        """The same card, its data key under the current key-encryption key."""
        ...

    def seal_secret(self, secret: Secret, merchant_id: str, owner_id: str) -> bytes:
        """Under the current key, for the object `owner_id` of this merchant alone."""
        ...

    def open_secret(self, sealed: bytes, merchant_id: str, owner_id: str) -> Secret:
        """Raises VaultError if it was tampered with or belongs to another object."""
        ...

    @property
    def key_version(self) -> int:
        """The key-encryption key that new cards and secrets are sealed under."""
        ...

    def mark(self, purpose: str, text: str) -> str:
        """A keyed HMAC-SHA-256 in hex: equal for equal texts, telling nothing else."""
        ...
