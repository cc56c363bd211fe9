"""The search for card numbers finds each disguise, and is not alarmed by what may be shown of a card."""

import gzip
import json

import pytest

from e2e.canary_search import BIN, CVV, DISGUISES, Search, sha256, unique_pans

PANS = unique_pans(50, seed=1)
NOISE = bytes(range(256)) * 40


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("count", [1, 50])
def test_each_disguise_is_seen_through(disguise: str, count: int) -> None:
    search, pan = Search(PANS[:count]), PANS[0]
    assert search.found(NOISE + DISGUISES[disguise](pan) + NOISE) == {pan}


def test_a_digest_is_known_alone_and_in_a_longer_run() -> None:
    search, pan = Search(PANS), PANS[7]
    assert search.found(sha256(pan)) == search.found(b"\\x00ff" + sha256(pan).upper() + b"ab12") == {pan}


def test_what_may_be_shown_is_no_alarm() -> None:
    pan = PANS[3]
    allowed = [
        f'{{"bin": "{pan[:6]}", "last4": "{pan[-4:]}"}}',
        f"{pan[:6]}******{pan[-4:]}",
        f"{pan[:4]} {pan[4:6]}•• •••• {pan[-4:]}",
        f"{BIN} {pan[-4:]}",
        f"{pan[:6]}{pan[-4:]}",
        unique_pans(1, seed=99)[0],
    ]
    text = "\n".join(allowed).encode()
    assert Search(PANS).found(text + NOISE + gzip.compress(text)) == set()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"cvv": "123"}),
        json.dumps(json.dumps({"cvv": "1234"})),
        "cvc=987",
        "CVV2: 987",
        "security_code='987'",
        "\xa3cvv\xa3987",
    ],
)
def test_a_cvv_is_known_by_its_name(text: str) -> None:
    assert CVV.search(text.encode("latin-1"))


@pytest.mark.parametrize(
    "text",
    ['{"cvc_result": "M", "x": 123}', '{"field": "card_data.cvv", "status": 422}', "cvv: 12345", '{"cvv": null}'],
)
def test_other_words_are_no_cvv(text: str) -> None:
    assert not CVV.search(text.encode())
