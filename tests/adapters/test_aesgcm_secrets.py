"""Secrets in the vault: opened for their owner alone, under the key that they were sealed under."""

import base64

import pytest

from cleartill.adapters import aesgcm
from cleartill.adapters.aesgcm import AesGcmVault, KeyRing, VaultError
from cleartill.domain.card import Secret

SECRET = Secret("whsec_bm90IGEgc2VjcmV0IGF0IGFsbA==")
OWNER = ("merchant_1", "we_1")


def vault(*versions: int) -> AesGcmVault:
    keys = (f"{version}:{base64.b64encode(bytes([version]) * 32).decode()}" for version in versions)
    return AesGcmVault(KeyRing.parse(",".join(keys)), b"secret")


def test_what_is_sealed_opens() -> None:
    sealed = vault(1).seal_secret(SECRET, *OWNER)
    assert vault(1).open_secret(sealed, *OWNER) == SECRET
    assert SECRET.reveal().encode() not in sealed
    assert vault(1).seal_secret(SECRET, *OWNER) != sealed, "the nonce is fresh"


@pytest.mark.parametrize("owner", [("merchant_2", "we_1"), ("merchant_1", "we_2"), ("merchant_1 we", "_1"), ("", "")])
def test_for_nobody_else(owner: tuple[str, str]) -> None:
    sealed = vault(1).seal_secret(SECRET, *OWNER)
    with pytest.raises(VaultError) as refused:
        vault(1).open_secret(sealed, *owner)
    assert "whsec" not in str(refused.value)


def test_not_when_a_single_bit_was_changed() -> None:
    sealed = vault(1, 2).seal_secret(SECRET, *OWNER)
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(VaultError):
            vault(1, 2).open_secret(changed, *OWNER)


@pytest.mark.parametrize("length", [0, 1, 4, 5, 16, 17, 30])
def test_not_when_cut_off(length: int) -> None:
    with pytest.raises(VaultError):
        vault(1).open_secret(vault(1).seal_secret(SECRET, *OWNER)[:length], *OWNER)


def test_under_the_current_key_and_opened_by_any_of_the_ring() -> None:
    old = vault(1).seal_secret(SECRET, *OWNER)
    assert vault(1, 2).open_secret(old, *OWNER) == SECRET
    new = vault(1, 2).seal_secret(SECRET, *OWNER)
    assert vault(2).open_secret(new, *OWNER) == SECRET
    with pytest.raises(VaultError, match="not in the key ring"):
        vault(2).open_secret(old, *OWNER)


def test_a_worn_out_key_seals_no_secrets_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aesgcm, "MAX_USES", 1)
    worn = vault(1)
    worn.seal_secret(SECRET, *OWNER)
    with pytest.raises(VaultError, match="worn out"):
        worn.seal_secret(SECRET, *OWNER)


def test_a_sealed_card_is_no_secret() -> None:
    with pytest.raises(VaultError, match="unknown layout"):
        vault(1).open_secret(b"\x01" + (1).to_bytes(4) + b"x" * 60, *OWNER)
