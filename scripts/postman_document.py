"""What the Postman collection is made from: the OpenAPI document of the code as it is, and examples of its schemas.

The document is made in process: no server is asked, and no setting is read.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from cleartill.api.app import create_app
from cleartill.api.docs import describe
from cleartill.ports import Till
from cleartill.settings import Settings

METHODS = ("get", "post", "put", "patch", "delete")
DEPTH = 8
_SUFFIX = "01kabcdefghjkmnpqrstvwxyz0"
_SAMPLES: dict[str, Any] = {
    "amount": 99.99, "amount_minor": 9999, "bank_reference": "bnk_01kabcdefg", "bin": "424242", "brand": "visa",
    "created_at": "2026-01-01T12:00:00Z", "currency": "USD", "email": "ada@tickets.example",
    "merchant_id": "merchant_123", "payment_id": f"pay_{_SUFFIX}",
    "id": f"pay_{_SUFFIX}", "last4": "4242", "name": "Tickets Ltd", "provider": "bank",
    "provider_payment_id": "bnk_01kabcdefg", "provider_refund_id": "bnk_01kabcdefh", "payment_method": "credit_card",
    "capture_method": "automatic", "transaction_id": f"pay_{_SUFFIX}", "expiry_month": 12,
    "expiry_year": 2030, "card_token": f"card_{_SUFFIX}", "avs_result": "Y", "cvc_result": "M",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "updated_at": "2026-01-01T12:00:00Z",
    "url": "https://shop.example/webhooks",
}  # fmt: skip
"""By the property's name, where the document says no more than its type."""
_THERE = ("bank_reference", "provider_payment_id", "provider_refund_id", "card")
"""What may be null, and mostly is not; all else that may be null is."""
_MOSTLY = {
    "PaymentStatus": "captured", "RefundStatus": "succeeded", "TransferStatus": "succeeded",
    "DeliveryStatus": "delivered",
}  # fmt: skip
"""What a state is in the end, when all goes well."""
_IDS = {
    "Refund": "ref", "Transfer": "dep", "Endpoint": "we", "NewEndpoint": "we", "Deleted": "we", "Delivery": "dlv",
    "Told": "dlv", "Merchant": "mer", "NewMerchant": "mer", "Key": "key", "NewKey": "key", "Erased": "card",
}  # fmt: skip
"""How ids begin, by whose they are; those of all else are payments'."""


@dataclass(frozen=True)
class Operation:
    """One method of one path, as the document describes it."""

    method: str
    path: str
    said: dict[str, Any]
    schemas: dict[str, Any]

    @property
    def route(self) -> str:
        """`POST /api/v1/payments`: what a step names."""
        return f"{self.method} {self.path}"

    @property
    def tag(self) -> str:
        return str(self.said["tags"][0])

    @property
    def keyless(self) -> bool:
        """Whether no API key opens it: nobody is asked for one, or only a session will do."""
        return not any("bearer" in way for way in self.said.get("security", ()))

    def parameters(self, where: str) -> list[dict[str, Any]]:
        """Those in `path`, `query` or `header`."""
        return [one for one in self.said.get("parameters", ()) if one["in"] == where]

    def bodies(self) -> dict[str, Any]:
        """The document's examples of what is sent, by name."""
        content = self.said.get("requestBody", {}).get("content", {}).get("application/json", {})
        return {name: example["value"] for name, example in content.get("examples", {}).items()}

    def done(self) -> list[int]:
        """The statuses of success, as documented."""
        return [int(status) for status in self.said["responses"] if status.startswith("2")]

    def required(self, status: int) -> list[str]:
        """The fields that an answer with this status has always."""
        return list(self._resolved(self._content(status).get("schema", {})).get("required", ()))

    def answer(self, status: int) -> Any:
        """An example of what is answered: the document's own, or one made of its schema; None if there is no body."""
        content = self._content(status)
        for example in content.get("examples", {}).values():
            return example["value"]
        if "example" in content:
            return content["example"]
        return self._sample("", content["schema"], DEPTH) if "schema" in content else None

    def meaning(self, status: int) -> str:
        said: str = self.said["responses"].get(str(status), {}).get("description", "")
        return "" if said == "Successful Response" else said

    def _content(self, status: int) -> dict[str, Any]:
        found: dict[str, Any] = self.said["responses"].get(str(status), {}).get("content", {})
        return dict(next(iter(found.values()), {}))

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in schema:
            return dict(self.schemas[schema["$ref"].rpartition("/")[2]])
        return schema

    def _sample(self, name: str, schema: dict[str, Any], depth: int) -> Any:
        state = _MOSTLY.get(schema.get("$ref", "").rpartition("/")[2])
        if state is not None:
            return state
        for key in ("examples", "enum"):
            if schema.get(key):
                return schema[key][0]
        for key in ("example", "const", "default"):
            if key in schema:
                return schema[key]
        if "$ref" in schema:
            return self._named(name, schema, depth)
        if "anyOf" in schema:
            nothing = name not in _THERE and any(one.get("type") == "null" for one in schema["anyOf"])
            return None if nothing else self._sample(name, schema["anyOf"][0], depth)
        match schema.get("type"):
            case "object":
                fields = schema.get("properties", {}) if depth else {}
                return {field: self._sample(field, what, depth - 1) for field, what in fields.items()}
            case "array":
                plain = schema.get("items", {}).get("type") == "string" and "enum" not in schema["items"]
                return (
                    []
                    if plain or not depth or "items" not in schema
                    else [self._sample(name, schema["items"], depth - 1)]
                )
            case "integer" | "number":
                return _SAMPLES.get(name, 0)
            case "boolean":
                return False
            case _:
                dated = schema.get("format") == "date-time"
                return _SAMPLES["created_at"] if dated else _SAMPLES.get(name, f"<{name}>" if name else "")

    def _named(self, name: str, schema: dict[str, Any], depth: int) -> Any:
        """Of a schema with a name: an object that has an id has one of its kind."""
        made = self._sample(name, self._resolved(schema), depth)
        prefix = _IDS.get(schema["$ref"].rpartition("/")[2].removesuffix("View"))
        if prefix and "id" in made:
            if made.get("transaction_id") == made["id"] and prefix != "ref":
                made["transaction_id"] = f"{prefix}_{_SUFFIX}"
            made["id"] = f"{prefix}_{_SUFFIX}"
        return made


def read_document() -> dict[str, Any]:
    """The OpenAPI document that a service of this code serves."""
    nothing = cast(Till, SimpleNamespace(asking=None, watch=None))  # whoever only describes itself needs no stores
    version = str(Settings.model_fields["dd_version"].default)
    return describe(create_app(nothing, environment="development", version=version), version)


def operations(document: dict[str, Any]) -> dict[str, Operation]:
    """Every operation there is, by its route, in the document's order."""
    found = {}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            if method in METHODS:
                one = Operation(method.upper(), path, said, document["components"]["schemas"])
                found[one.route] = one
    return found
