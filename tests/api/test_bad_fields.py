"""A field that makes no sense is 422: it is named, its value is not, and no row is left."""

import json
from typing import Any

import httpx
import pytest

from fakes import World
from fakes.requests import CARD, CHARGE, PAN, PROCESS, card, charge, problem_of, raw, raw_card

JSON = {"Content-Type": "application/json"}
WHOLE = json.dumps(CHARGE).encode()


def nested(depth: int) -> Any:
    return "leaf" if depth == 0 else {"in": nested(depth - 1)}


# name, body, the field that the answer names
UNPROCESSABLE: list[tuple[str, bytes | dict[str, Any], str]] = [
    # shape
    ("an_array", b"[]", ""),
    ("a_string", b'"hello"', ""),
    ("a_number", b"1", ""),
    ("null", b"null", ""),
    ("true", b"true", ""),
    ("empty_object", b"{}", "amount"),
    ("unknown_field", charge(colour="red"), "colour"),
    ("unknown_state", charge(status="captured"), "status"),
    ("unknown_id", charge(id="pay_1"), "id"),
    ("unknown_captured", charge(amount_captured=1), "amount_captured"),
    ("unknown_minor", charge(amount_minor=1), "amount_minor"),
    ("unknown_in_card", card(pin="1234"), "card_data.pin"),
    ("unknown_case", charge(Amount=1), "Amount"),
    ("unknown_name_is_a_pan", charge(**{PAN: 1}), "?"),
    ("unknown_name_holds_a_pan", charge(**{f"card{PAN}": 1}), "?"),
    ("unknown_name_is_odd", charge(**{"<b>": 1}), "?"),
    ("unknown_name_is_long", charge(**{"a" * 5000: 1}), "?"),
    ("unknown_name_is_nul", charge(**{"\0": 1}), "?"),
    ("unknown_name_is_a_surrogate", charge(**{"\ud800": 1}), "?"),
    # amount
    ("no_amount", charge(without="amount"), "amount"),
    ("amount_null", charge(amount=None), "amount"),
    ("amount_true", charge(amount=True), "amount"),
    ("amount_array", charge(amount=[1]), "amount"),
    ("amount_object", charge(amount={"value": 1}), "amount"),
    ("amount_zero", raw("amount", "0"), "amount"),
    ("amount_zero_decimals", raw("amount", "0.00"), "amount"),
    ("amount_minus_zero", raw("amount", "-0"), "amount"),
    ("amount_negative", raw("amount", "-1"), "amount"),
    ("amount_negative_text", charge(amount="-1.00"), "amount"),
    ("amount_exponent", raw("amount", "1e2"), "amount"),
    ("amount_exponent_capital", raw("amount", "1E2"), "amount"),
    ("amount_exponent_small", raw("amount", "9999e-2"), "amount"),
    ("amount_overflow", raw("amount", "1e999999"), "amount"),
    ("amount_overflow_negative", raw("amount", "-1e999999"), "amount"),
    ("amount_exponent_text", charge(amount="1e2"), "amount"),
    ("amount_nan", raw("amount", "NaN"), "amount"),
    ("amount_infinity", raw("amount", "Infinity"), "amount"),
    ("amount_minus_infinity", raw("amount", "-Infinity"), "amount"),
    ("metadata_nan", raw("metadata", '{"a": NaN}'), "metadata"),
    ("order_nan", raw("order_id", "NaN"), "order_id"),
    ("month_infinity", raw_card("expiry_month", "Infinity"), "card_data.expiry_month"),
    ("unknown_field_nan", raw("surprise", "NaN"), "surprise"),
    ("amount_nan_text", charge(amount="NaN"), "amount"),
    ("amount_infinity_text", charge(amount="Infinity"), "amount"),
    ("amount_over_precise", raw("amount", "99.999"), "amount"),
    ("amount_over_precise_zero", raw("amount", "10.000"), "amount"),
    ("amount_over_precise_text", charge(amount="10.000"), "amount"),
    ("amount_jpy_decimals", {**charge(currency="JPY"), "amount": "500.0"}, "amount"),
    ("amount_bhd_four_decimals", {**charge(currency="BHD"), "amount": "1.0001"}, "amount"),
    ("amount_too_large", raw("amount", "10000000000.00"), "amount"),
    ("amount_huge_integer", raw("amount", "9" * 5000), "amount"),
    ("amount_huge_fraction", raw("amount", "0." + "3" * 5000), "amount"),
    ("amount_empty_text", charge(amount=""), "amount"),
    ("amount_blank_text", charge(amount=" "), "amount"),
    ("amount_padded", charge(amount=" 99.99 "), "amount"),
    ("amount_underscores", charge(amount=" 1_0 "), "amount"),
    ("amount_thousands", charge(amount="1,000.00"), "amount"),
    ("amount_comma", charge(amount="99,99"), "amount"),
    ("amount_plus", charge(amount="+1"), "amount"),
    ("amount_point_first", charge(amount=".99"), "amount"),
    ("amount_point_last", charge(amount="99."), "amount"),
    ("amount_hexadecimal", charge(amount="0x10"), "amount"),
    ("amount_arabic", charge(amount="\u0669\u0669"), "amount"),
    ("amount_full_width", charge(amount="\uff11\uff10"), "amount"),
    ("amount_with_sign", charge(amount="$10"), "amount"),
    ("amount_newline", charge(amount="10\n"), "amount"),
    ("amount_nul", charge(amount="10\0"), "amount"),
    # currency
    ("no_currency", charge(without="currency"), "currency"),
    ("currency_null", charge(currency=None), "currency"),
    ("currency_number", charge(currency=840), "currency"),
    ("currency_empty", charge(currency=""), "currency"),
    ("currency_lower", charge(currency="usd"), "currency"),
    ("currency_unknown", charge(currency="AAA"), "currency"),
    ("currency_test", charge(currency="XTS"), "currency"),
    ("currency_none", charge(currency="XXX"), "currency"),
    ("currency_gold", charge(currency="XAU"), "currency"),
    ("currency_withdrawn", charge(currency="DEM"), "currency"),
    ("currency_crypto", charge(currency="BTC"), "currency"),
    ("currency_long", charge(currency="USDD"), "currency"),
    ("currency_padded", charge(currency="USD "), "currency"),
    ("currency_newline", charge(currency="US\n"), "currency"),
    ("currency_homoglyph", charge(currency="\u0405EK"), "currency"),
    ("currency_array", charge(currency=["USD"]), "currency"),
    # payment method, provider, merchant
    ("no_method", charge(without="payment_method"), "payment_method"),
    ("method_unknown", charge(payment_method="cash"), "payment_method"),
    ("method_case", charge(payment_method="Credit_Card"), "payment_method"),
    ("method_number", charge(payment_method=1), "payment_method"),
    ("provider_unknown", charge(provider="acme"), "provider"),
    ("provider_number", charge(provider=1), "provider"),
    ("provider_path", charge(provider="../bank"), "provider"),
    ("merchant_number", charge(merchant_id=1), "merchant_id"),
    ("merchant_empty", charge(merchant_id=""), "merchant_id"),
    ("merchant_sql", charge(merchant_id="' OR 1=1 --"), "merchant_id"),
    ("merchant_long", charge(merchant_id="m" * 65), "merchant_id"),
    # cards
    ("no_card", charge(without="card_data"), "card_data"),
    ("card_null", charge(card_data=None), "card_data"),
    ("card_and_token", charge(card_token="card_1"), "card_data"),
    ("card_text", charge(card_data=PAN), "card_data"),
    ("card_array", charge(card_data=[CARD]), "card_data"),
    ("token_number", {**charge(without="card_data"), "card_token": 1}, "card_token"),
    ("token_empty", {**charge(without="card_data"), "card_token": ""}, "card_token"),
    ("token_is_a_pan", {**charge(without="card_data"), "card_token": PAN}, "card_token"),
    ("no_number", card(without="card_number"), "card_data.card_number"),
    ("number_null", card(card_number=None), "card_data.card_number"),
    ("number_integer", card(card_number=4242424242424242), "card_data.card_number"),
    ("number_empty", card(card_number=""), "card_data.card_number"),
    ("number_short", card(card_number="42424242424"), "card_data.card_number"),
    ("number_long", card(card_number="4" * 20), "card_data.card_number"),
    ("number_endless", card(card_number="4" * 5000), "card_data.card_number"),
    ("number_fails_luhn", card(card_number="4242424242424241"), "card_data.card_number"),
    ("number_letters", card(card_number="4242abcd42424242"), "card_data.card_number"),
    ("number_arabic", card(card_number="\u0664\u0662" * 8), "card_data.card_number"),
    ("number_points", card(card_number="4242.4242.4242.4242"), "card_data.card_number"),
    ("number_nul", card(card_number="4242424242424242\0"), "card_data.card_number"),
    ("no_month", card(without="expiry_month"), "card_data.expiry_month"),
    ("month_0", card(expiry_month=0), "card_data.expiry_month"),
    ("month_13", card(expiry_month=13), "card_data.expiry_month"),
    ("month_13_text", card(expiry_month="13"), "card_data.expiry_month"),
    ("month_negative", card(expiry_month=-1), "card_data.expiry_month"),
    ("month_fraction", card(expiry_month=1.5), "card_data.expiry_month"),
    ("month_exponent", raw_card("expiry_month", "1e1"), "card_data.expiry_month"),
    ("month_name", card(expiry_month="Dec"), "card_data.expiry_month"),
    ("month_true", card(expiry_month=True), "card_data.expiry_month"),
    ("month_null", card(expiry_month=None), "card_data.expiry_month"),
    ("month_huge", raw_card("expiry_month", "1" * 5000), "card_data.expiry_month"),
    ("no_year", card(without="expiry_year"), "card_data.expiry_year"),
    ("year_far", card(expiry_year=2100), "card_data.expiry_year"),
    ("year_three_digits", card(expiry_year=203), "card_data.expiry_year"),
    ("year_one_digit", card(expiry_year=9), "card_data.expiry_year"),
    ("year_five_digits", card(expiry_year=20300), "card_data.expiry_year"),
    ("year_negative", card(expiry_year=-2030), "card_data.expiry_year"),
    ("year_fraction", card(expiry_year=2030.0), "card_data.expiry_year"),
    ("year_text", card(expiry_year="soon"), "card_data.expiry_year"),
    ("year_arabic", card(expiry_year="\u0662\u0660\u0663\u0660"), "card_data.expiry_year"),
    ("no_cvv", card(without="cvv"), "card_data.cvv"),
    ("cvv_integer", card(cvv=123), "card_data.cvv"),
    ("cvv_two_digits", card(cvv="12"), "card_data.cvv"),
    ("cvv_five_digits", card(cvv="12345"), "card_data.cvv"),
    ("cvv_letters", card(cvv="12a"), "card_data.cvv"),
    ("cvv_padded", card(cvv=" 123"), "card_data.cvv"),
    ("cvv_arabic", card(cvv="\u0661\u0662\u0663"), "card_data.cvv"),
    ("cvv_null", card(cvv=None), "card_data.cvv"),
    ("no_holder", card(without="cardholder_name"), "card_data.cardholder_name"),
    ("holder_empty", card(cardholder_name=""), "card_data.cardholder_name"),
    ("holder_long", card(cardholder_name="a" * 101), "card_data.cardholder_name"),
    ("holder_nul", card(cardholder_name="A\0da"), "card_data.cardholder_name"),
    ("holder_surrogate", card(cardholder_name="\ud800"), "card_data.cardholder_name"),
    # texts
    ("order_float", charge(order_id=1.5), "order_id"),
    ("order_true", charge(order_id=True), "order_id"),
    ("order_huge", raw("order_id", "9" * 100), "order_id"),
    ("order_exponent", raw("order_id", "1e3"), "order_id"),
    ("order_empty", charge(order_id=""), "order_id"),
    ("order_long", charge(order_id="o" * 256), "order_id"),
    ("order_array", charge(order_id=["1"]), "order_id"),
    ("order_is_a_pan", charge(order_id=PAN), "order_id"),
    ("order_integer_is_a_pan", charge(order_id=int(PAN)), "order_id"),
    ("email_none", charge(customer_email="ada"), "customer_email"),
    ("email_blanks", charge(customer_email="a b@example.com"), "customer_email"),
    ("email_two_ats", charge(customer_email="a@b@example.com"), "customer_email"),
    ("email_long", charge(customer_email="a" * 250 + "@b.example"), "customer_email"),
    ("email_line_break", charge(customer_email="a@b.example\r\nBcc: c@d.example"), "customer_email"),
    ("email_is_a_pan", charge(customer_email=f"{PAN}@example.com"), "customer_email"),
    ("description_number", charge(description=5), "description"),
    ("description_long", charge(description="d" * 501), "description"),
    ("description_nul", charge(description="a\0b"), "description"),
    ("description_surrogate", charge(description="\udfff"), "description"),
    ("description_pan", charge(description=f"card {PAN}!"), "description"),
    ("description_pan_spaced", charge(description="4111 1111 1111 1111"), "description"),
    ("description_pan_dashed", charge(description="378282-246310-005"), "description"),
    ("description_pan_after_digits", charge(description="no. 12 4111 1111 1111 1111"), "description"),
    ("description_pan_and_expiry", charge(description=f"{PAN} 12/28 123"), "description"),
    # metadata
    ("metadata_null_in_list", charge(metadata=[None]), "metadata"),
    ("metadata_text", charge(metadata="a"), "metadata"),
    ("metadata_number", charge(metadata=1), "metadata"),
    ("metadata_51_keys", charge(metadata={f"k{n}": n for n in range(51)}), "metadata"),
    ("metadata_51_keys_deep", charge(metadata={"a": {f"k{n}": n for n in range(50)}}), "metadata"),
    ("metadata_depth_4", charge(metadata=nested(4)), "metadata"),
    ("metadata_depth_4_lists", charge(metadata={"a": [[[1]]]}), "metadata"),
    ("metadata_depth_900", charge(metadata=nested(300)), "metadata"),
    ("metadata_8_kib", charge(metadata={"a": "x" * 8192}), "metadata"),
    ("metadata_8_kib_of_umlauts", charge(metadata={"a": "\u00fc" * 4096}), "metadata"),
    ("metadata_nul", charge(metadata={"a": "\0"}), "metadata"),
    ("metadata_nul_key", charge(metadata={"\0": 1}), "metadata"),
    ("metadata_surrogate", charge(metadata={"a": "\ud83d"}), "metadata"),
    ("metadata_surrogate_key", charge(metadata={"\ud83d": 1}), "metadata"),
    ("metadata_surrogate_deep", charge(metadata={"a": [{"b": "\udc00"}]}), "metadata"),
    ("metadata_pan", charge(metadata={"card": PAN}), "metadata"),
    ("metadata_pan_number", charge(metadata={"card": int(PAN)}), "metadata"),
    ("metadata_pan_key", charge(metadata={PAN: 1}), "metadata"),
    ("metadata_pan_deep", charge(metadata={"a": {"b": ["4242-4242-4242-4242"]}}), "metadata"),
    ("metadata_pan_in_text", charge(metadata={"a": f"paid with {PAN}, thanks"}), "metadata"),
    ("metadata_overflow", raw("metadata", '{"a": 1e999999}'), "metadata"),
    ("metadata_huge_integer", raw("metadata", '{"a": ' + "9" * 5000 + "}"), "metadata"),
    ("metadata_unsafe_integer", raw("metadata", '{"a": 9007199254740993}'), "metadata"),
    ("metadata_inexact", raw("metadata", '{"a": 0.10000000000000000555}'), "metadata"),
]


def encoded(body: bytes | dict[str, Any]) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.mark.parametrize(("body", "field"), [pytest.param(body, field, id=name) for name, body, field in UNPROCESSABLE])
async def test_an_invalid_field_is_422_and_named(
    client: httpx.AsyncClient, world: World, body: bytes | dict[str, Any], field: str
) -> None:
    answer = await client.post(PROCESS, content=encoded(body), headers=JSON)
    assert answer.status_code == 422
    problem = problem_of(answer, world)
    assert problem["code"] in ("invalid_body", "invalid_amount", "unknown_currency")
    assert field in [error["field"] for error in problem["errors"]]


def test_the_table_is_large() -> None:
    names = [name for name, *_ in UNPROCESSABLE]
    assert len(names) == len(set(names)) >= 150
