"""The vault: what it seals it opens, and nothing that was changed, moved or sealed under a key it does not have."""

import base64
import hashlib
import hmac
import pickle
from dataclasses import replace

import pytest

from cleartill.adapters import aesgcm
from cleartill.adapters.aesgcm import AesGcmVault, KeyRing, VaultError
from cleartill.domain.card import Card, Cvv, Pan, SealedCard, Secret

PAN = "4242424242424242"
KEYS = [bytes([number]) * 32 for number in range(1, 4)]
LENGTHS = {
    "layout": 1,
    "key nonce": 12,
    "wrapped key": 32,
    "key tag": 16,
    "card nonce": 12,
    "card": None,
    "card tag": 16,
}


def ring(*versions: int) -> KeyRing:
    return KeyRing.parse(",".join(f"{version}:{base64.b64encode(KEYS[version - 1]).decode()}" for version in versions))


def card(pan: str = PAN) -> Card:
    return Card(Pan(pan), 12, 2030, Cvv("987"), Secret("Zoë O'Neill"))


@pytest.fixture
def vault() -> AesGcmVault:
    return AesGcmVault(ring(1), b"secret")


@pytest.fixture
def sealed(vault: AesGcmVault) -> SealedCard:
    return vault.seal(card(), "merchant_1")


def test_a_sealed_card_opens_without_its_cvv(vault: AesGcmVault, sealed: SealedCard) -> None:
    assert vault.open(sealed) == replace(card(), cvv=None)


def test_the_row_shows_what_may_be_shown_and_no_more(sealed: SealedCard) -> None:
    summary = sealed.summary
    assert (summary.brand, summary.last4, summary.bin) == ("visa", "4242", "424242")
    assert (summary.expiry_month, summary.expiry_year, summary.card_token) == (12, 2030, sealed.token)
    assert (sealed.token[:5], sealed.merchant_id, sealed.key_version) == ("card_", "merchant_1", 1)
    shown = repr(sealed) + repr(sealed.sealed.hex())
    for secret in (PAN, PAN.encode().hex(), "cvv", "Neill", KEYS[0].hex()):
        assert secret not in shown


def test_the_layout_is_the_documented_one(sealed: SealedCard) -> None:
    plain = len('["4242424242424242", 12, 2030, "Zo\\u00eb O\'Neill"]')
    assert sealed.sealed[0] == 1
    assert len(sealed.sealed) == 1 + 12 + 48 + 12 + plain + 16


def test_no_two_sealings_are_alike(vault: AesGcmVault, sealed: SealedCard) -> None:
    again = vault.seal(card(), "merchant_1")
    assert again.token != sealed.token
    assert again.summary.fingerprint == sealed.summary.fingerprint
    for start, end in ((1, 13), (13, 61), (61, 73), (73, None)):
        assert again.sealed[start:end] != sealed.sealed[start:end]


def _region(sealed: bytes, name: str) -> range:
    start = 0
    for region, length in LENGTHS.items():
        length = len(sealed) - sum(size for size in LENGTHS.values() if size) if length is None else length
        if region == name:
            return range(start, start + length)
        start += length
    raise AssertionError(name)


@pytest.mark.parametrize("region", LENGTHS)
def test_a_changed_bit_anywhere_is_refused(vault: AesGcmVault, sealed: SealedCard, region: str) -> None:
    for place in _region(sealed.sealed, region):
        for bit in range(8):
            changed = bytearray(sealed.sealed)
            changed[place] ^= 1 << bit
            with pytest.raises(VaultError):
                vault.open(replace(sealed, sealed=bytes(changed)))


def test_every_shorter_text_is_refused(vault: AesGcmVault, sealed: SealedCard) -> None:
    for length in range(len(sealed.sealed)):
        with pytest.raises(VaultError):
            vault.open(replace(sealed, sealed=sealed.sealed[:length]))
    with pytest.raises(VaultError):
        vault.open(replace(sealed, sealed=sealed.sealed + b"\0"))


def test_a_card_in_another_row_is_refused(vault: AesGcmVault, sealed: SealedCard) -> None:
    other = vault.seal(card("5555555555554444"), "merchant_2")
    for moved in (
        replace(sealed, merchant_id="merchant_2"),
        replace(sealed, token=other.token),
        replace(sealed, merchant_id=other.merchant_id, token=other.token),
        replace(other, sealed=sealed.sealed[:61] + other.sealed[61:]),
        replace(other, sealed=other.sealed[:61] + sealed.sealed[61:]),
    ):
        with pytest.raises(VaultError):
            vault.open(moved)
        with pytest.raises(VaultError):
            AesGcmVault(ring(1, 2), b"secret").open(AesGcmVault(ring(1, 2), b"secret").rewrap(moved))


def test_where_the_merchant_ends_and_the_token_begins_cannot_be_shifted(vault: AesGcmVault) -> None:
    sealed = vault.seal(card(), "a b")
    with pytest.raises(VaultError):
        vault.open(replace(sealed, merchant_id="a", token=f"b {sealed.token}"))


@pytest.mark.parametrize(
    ("merchant_id", "token"), [("merchant_2", "{}"), ("a", "{}"), ("a b", "card_2"), ("a", "b {}")], ids=ascii
)
def test_each_half_is_bound_to_its_row_by_itself(vault: AesGcmVault, merchant_id: str, token: str) -> None:
    """Even whoever holds the key ring and wraps the data key anew for another row cannot open the card there."""
    sealed = vault.seal(card(), "a b")
    token = token.format(sealed.token)
    wrapped = vault._wrap(vault._unwrap(sealed), merchant_id, token)
    moved = replace(sealed, merchant_id=merchant_id, token=token, sealed=b"\1" + wrapped + sealed.sealed[61:])
    assert vault._unwrap(moved) == vault._unwrap(sealed)
    with pytest.raises(VaultError):
        vault.open(moved)


def test_another_key_version_on_the_row_is_refused() -> None:
    twins = KeyRing(2, dict.fromkeys((1, 2), ring(1).keys[1]))
    vault = AesGcmVault(twins, b"secret")
    sealed = vault.seal(card(), "merchant_1")
    with pytest.raises(VaultError):
        vault.open(replace(sealed, key_version=1))


def test_old_versions_open_and_new_cards_take_the_last(sealed: SealedCard) -> None:
    rotated = AesGcmVault(ring(1, 3, 2), b"secret")
    assert rotated.open(sealed).pan == Pan(PAN)
    assert rotated.key_version == rotated.seal(card(), "merchant_1").key_version == 2


def test_rewrapping_touches_the_wrapped_key_only(sealed: SealedCard) -> None:
    rewrapped = AesGcmVault(ring(1, 2), b"secret").rewrap(sealed)
    assert rewrapped.key_version == 2
    assert rewrapped.sealed[61:] == sealed.sealed[61:]
    assert rewrapped.sealed[1:61] != sealed.sealed[1:61]
    assert (rewrapped.token, rewrapped.summary) == (sealed.token, sealed.summary)
    assert AesGcmVault(ring(2), b"another secret").open(rewrapped).pan == Pan(PAN)
    with pytest.raises(VaultError, match="Key version 1 is not in the key ring"):
        AesGcmVault(ring(2), b"secret").rewrap(sealed)


def test_a_card_under_the_current_key_is_left_alone(vault: AesGcmVault, sealed: SealedCard) -> None:
    assert vault.rewrap(sealed) is sealed


def test_a_key_is_not_used_beyond_its_bound(monkeypatch: pytest.MonkeyPatch, sealed: SealedCard) -> None:
    assert aesgcm.MAX_USES == 2**31
    monkeypatch.setattr(aesgcm, "MAX_USES", 2)
    vault = AesGcmVault(ring(1, 2), b"secret")
    last = vault.seal(card(), "merchant_1")
    vault.rewrap(sealed)
    with pytest.raises(VaultError, match="Key version 2 is worn out"):
        vault.seal(card(), "merchant_1")
    with pytest.raises(VaultError, match="worn out"):
        vault.rewrap(sealed)
    assert vault.open(last).pan == Pan(PAN)


def test_a_mark_is_equal_for_equals_and_for_nothing_else(vault: AesGcmVault) -> None:
    marks = {
        vault.mark("key", "text"),
        vault.mark("key", "text "),
        vault.mark("body", "text"),
        AesGcmVault(ring(1), b"another").mark("key", "text"),
    }
    assert len(marks) == 4
    assert all(len(mark) == 64 and int(mark, 16) for mark in marks)
    assert AesGcmVault(ring(2), b"secret").mark("key", "text") == vault.mark("key", "text")


def test_a_mark_is_the_documented_one() -> None:
    """RFC 5869 and FIPS 198-1 by hand, so that stored fingerprints stay valid."""

    def mac(key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, hashlib.sha256).digest()

    root = mac(mac(bytes(32), b"secret"), b"cleartill marks\x01")
    key = mac(root, b"key\x01")
    assert AesGcmVault(ring(1), b"secret").mark("key", "text") == mac(key, b"text").hex()


def test_a_fingerprint_is_a_merchants_own(vault: AesGcmVault) -> None:
    prints = [
        vault.seal(card(), merchant).summary.fingerprint for merchant in ("merchant_1", "merchant_1", "merchant_2")
    ]
    assert prints[0] == prints[1] == vault.mark("card:merchant_1", PAN)
    assert prints[2] != prints[0]


GOOD, OTHER = (base64.b64encode(key).decode() for key in KEYS[:2])
BAD_RINGS = {
    "nothing": "",
    "blanks": " \n ",
    "no version": GOOD,
    "version zero": f"0:{GOOD}",
    "negative": f"-1:{GOOD}",
    "leading zero": f"01:{GOOD}",
    "not a number": f"one:{GOOD}",
    "other digits": f"١:{GOOD}",
    "huge version": f"{10**12}:{GOOD}",
    "31 bytes": "1:" + base64.b64encode(bytes(31)).decode(),
    "33 bytes": "1:" + base64.b64encode(bytes(33)).decode(),
    "16 bytes": "1:" + base64.b64encode(bytes(16)).decode(),
    "not base64": "1:" + "!" * 44,
    "padding missing": "1:" + GOOD.rstrip("="),
    "no separator": f"1:{GOOD}2:{OTHER}",
    "version twice": f"1:{GOOD},1:{OTHER}",
    "key twice": f"1:{GOOD},2:{GOOD}",
    "something behind": f"1:{GOOD}:2",
}


@pytest.mark.parametrize("text", BAD_RINGS.values(), ids=BAD_RINGS)
def test_a_bad_key_ring_is_refused_without_showing_a_key(text: str) -> None:
    with pytest.raises(VaultError) as refusal:
        KeyRing.parse(text)
    assert GOOD[:8] not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("text", [f"1:{GOOD},7:{OTHER}", f" 1:{GOOD},\n7:{OTHER}\n", f"1:{GOOD}\r\n7:{OTHER}"])
def test_a_key_ring_comes_from_a_line_or_a_file(text: str) -> None:
    assert KeyRing.parse(text).current == 7
    assert sorted(KeyRing.parse(text).keys) == [1, 7]


def test_neither_ring_nor_vault_shows_its_secrets(vault: AesGcmVault) -> None:
    key_ring = ring(1, 2)
    shown = repr(key_ring) + str(key_ring) + repr(vault) + repr(vars(vault))
    for secret in (GOOD, KEYS[0].hex(), repr(KEYS[0]), "b'secret'"):
        assert secret not in shown
    for holder in (key_ring, vault):
        with pytest.raises((TypeError, AttributeError)):
            pickle.dumps(holder)


def test_a_vault_without_a_secret_is_refused() -> None:
    with pytest.raises(VaultError):
        AesGcmVault(ring(1), b"")
