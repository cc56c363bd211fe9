"""The vault: cards under AES-256-GCM, each with a data key of its own, wrapped under a versioned key-encryption key.

    sealed = layout 1 │ nonce 12 │ wrapped key 48 │ nonce 12 │ ciphertext n + 16        (bytes; tags included)
                      └──── under the key ring ───┘└── under the data key ──┘

The left half is bound to merchant, card token and key version, the right half to merchant and card token: so a
rotation replaces the left half and never sees a card, and no half opens in another merchant's or another card's row.
The plaintext is PAN, expiry and holder. The CVV is never in it (PCI DSS 3.3.1).

Nonces are random, 96 bits. Under one key that is safe for 2^32 uses (NIST SP 800-38D, 8.3); a process refuses to seal
after 2^31. The count is the process's own and starts at zero with it: rotate long before (2^31 is 24 days at 1,000
cards a second). Data keys are used once.

    secret = layout 2 │ key version 4 │ nonce 12 │ ciphertext n + 16

Other secrets, few and short, are sealed under the key ring itself, bound to merchant, owner and key version.

A new key comes in three steps, each on all processes before the next: put it first in the ring (it opens), put it last
(it seals), rotate and take the old one out.
"""

import base64
import binascii
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from cleartill.domain.card import Card, CardSummary, Pan, SealedCard, Secret
from cleartill.domain.errors import CleartillError
from cleartill.domain.ids import new_id

MAX_USES = 2**31
KEY_BYTES = 32
_LAYOUT = b"\x01"
_SECRET_LAYOUT = b"\x02"
_VERSION_BYTES = 4
_NONCE_BYTES = 12
_TAG_BYTES = 16
_WRAP_START = len(_LAYOUT)
_WRAP_END = _WRAP_START + _NONCE_BYTES + KEY_BYTES + _TAG_BYTES
_ENTRY = re.compile(r"([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})")
_MARK_KEYS_CACHED = 4096


class VaultError(CleartillError):
    """A key ring that makes no sense, or a card that cannot be sealed or opened. Never says what is inside."""

    code = "vault"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Key-encryption keys by version. New cards are sealed under `current`; the others only open."""

    current: int
    keys: Mapping[int, AESGCM] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """`1:base64,2:base64` (or one a line): 32-byte keys by version, the last one current.

        Raises VaultError, which names the entry by its place, for none at all, a version that is not a positive
        integer, a key that is not 32 bytes in base64, and a version or key that comes twice.
        """
        found: dict[int, bytes] = {}
        for place, entry in enumerate(re.split(r"[,\s]+", text.strip(", \t\r\n")), start=1):
            match = _ENTRY.fullmatch(entry)
            if match is None:
                raise VaultError(f"Key ring entry {place} must be version:base64")
            version, key = int(match[1]), _decoded(match[2])
            if len(key) != KEY_BYTES:
                raise VaultError(f"Key ring entry {place} must be {KEY_BYTES} bytes in base64")
            if version in found or key in found.values():
                raise VaultError(f"Key ring entry {place} repeats an earlier version or key")
            found[version] = key
        return cls(version, {version: AESGCM(key) for version, key in found.items()})


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


class AesGcmVault:
    """`ports.Vault`. `secret` keys the marks and has nothing to do with the key ring: rotating one leaves the other.

    Raises VaultError if the secret is empty.
    """

    def __init__(self, key_ring: KeyRing, secret: bytes) -> None:
        if not secret:
            raise VaultError("The vault needs a secret for its marks")
        self._ring = key_ring
        self._uses = count(1)
        root = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"cleartill marks").derive(secret)

        @lru_cache(_MARK_KEYS_CACHED)
        def marker(purpose: str) -> hmac.HMAC:
            return hmac.new(HKDFExpand(SHA256(), KEY_BYTES, info=purpose.encode()).derive(root), digestmod="sha256")

        self._marker = marker

    @property
    def key_version(self) -> int:
        return self._ring.current

    def seal(self, card: Card, merchant_id: str) -> SealedCard:
        """A new card token for every call. Raises VaultError once the current key is worn out."""
        token = new_id("card")
        data_key = secrets.token_bytes(KEY_BYTES)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = json.dumps([card.pan.reveal(), card.expiry_month, card.expiry_year, card.holder.reveal()]).encode()
        ciphertext = AESGCM(data_key).encrypt(nonce, plain, _card_binding(merchant_id, token))
        summary = CardSummary(
            brand=card.pan.brand,
            last4=card.pan.last4,
            bin=card.pan.bin,
            expiry_month=card.expiry_month,
            expiry_year=card.expiry_year,
            fingerprint=self.mark(f"card:{merchant_id}", card.pan.reveal()),
            card_token=token,
        )
        sealed = _LAYOUT + self._wrap(data_key, merchant_id, token) + nonce + ciphertext
        return SealedCard(token, merchant_id, self._ring.current, sealed, summary)

    def open(self, sealed: SealedCard) -> Card:
        data_key = self._unwrap(sealed)
        nonce, ciphertext = sealed.sealed[_WRAP_END:][:_NONCE_BYTES], sealed.sealed[_WRAP_END + _NONCE_BYTES :]
        plain = _decrypted(AESGCM(data_key), nonce, ciphertext, _card_binding(sealed.merchant_id, sealed.token))
        pan, month, year, holder = json.loads(plain)
        return Card(Pan(pan), month, year, cvv=None, holder=Secret(holder))

    def rewrap(self, sealed: SealedCard) -> SealedCard:
        if sealed.key_version == self._ring.current:
            return sealed
        wrapped = self._wrap(self._unwrap(sealed), sealed.merchant_id, sealed.token)
        return replace(sealed, key_version=self._ring.current, sealed=_LAYOUT + wrapped + sealed.sealed[_WRAP_END:])

    def seal_secret(self, secret: Secret, merchant_id: str, owner_id: str) -> bytes:
        """Raises VaultError once the current key is worn out."""
        self._use()
        version, nonce = self._ring.current, secrets.token_bytes(_NONCE_BYTES)
        binding = _secret_binding(merchant_id, owner_id, version)
        ciphertext = self._ring.keys[version].encrypt(nonce, secret.reveal().encode(), binding)
        return _SECRET_LAYOUT + version.to_bytes(_VERSION_BYTES) + nonce + ciphertext

    def open_secret(self, sealed: bytes, merchant_id: str, owner_id: str) -> Secret:
        start = len(_SECRET_LAYOUT) + _VERSION_BYTES
        version = int.from_bytes(sealed[len(_SECRET_LAYOUT) : start])
        key = self._ring.keys.get(version)
        if not sealed.startswith(_SECRET_LAYOUT):
            raise VaultError("The sealed secret has an unknown layout")
        if key is None:
            raise VaultError(f"Key version {version} is not in the key ring")
        nonce, ciphertext = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        return Secret(_decrypted(key, nonce, ciphertext, _secret_binding(merchant_id, owner_id, version)).decode())

    def mark(self, purpose: str, text: str) -> str:
        """Every purpose has a key of its own (HKDF, RFC 5869), so marks of two purposes cannot be compared."""
        mark = self._marker(purpose).copy()  # hmac.digest() would give up the GIL, and wait to get it back
        mark.update(text.encode())
        return mark.hexdigest()

    def _use(self) -> None:
        if next(self._uses) > MAX_USES:
            raise VaultError(f"Key version {self._ring.current} is worn out: add a new one to the key ring")

    def _wrap(self, data_key: bytes, merchant_id: str, token: str) -> bytes:
        self._use()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        binding = _key_binding(merchant_id, token, self._ring.current)
        return nonce + self._ring.keys[self._ring.current].encrypt(nonce, data_key, binding)

    def _unwrap(self, sealed: SealedCard) -> bytes:
        key = self._ring.keys.get(sealed.key_version)
        if key is None:
            raise VaultError(f"Key version {sealed.key_version} is not in the key ring")
        if not sealed.sealed.startswith(_LAYOUT):
            raise VaultError("The sealed card has an unknown layout")
        wrapped = sealed.sealed[_WRAP_START:_WRAP_END]
        binding = _key_binding(sealed.merchant_id, sealed.token, sealed.key_version)
        return _decrypted(key, wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], binding)


# Lengths come first in what is bound, so that no two different rows are ever bound to the same bytes.


def _card_binding(merchant_id: str, token: str) -> bytes:
    return f"card {len(merchant_id)} {merchant_id} {token}".encode()


def _key_binding(merchant_id: str, token: str, key_version: int) -> bytes:
    return f"key {key_version} {len(merchant_id)} {merchant_id} {token}".encode()


def _secret_binding(merchant_id: str, owner_id: str, key_version: int) -> bytes:
    return f"secret {key_version} {len(merchant_id)} {merchant_id} {owner_id}".encode()


def _decrypted(key: AESGCM, nonce: bytes, ciphertext: bytes, binding: bytes) -> bytes:
    try:
        return key.decrypt(nonce, ciphertext, binding)
    except (InvalidTag, ValueError):  # ValueError: too short to be a nonce and a tag
        raise VaultError("What was sealed was changed, or belongs to another row") from None
