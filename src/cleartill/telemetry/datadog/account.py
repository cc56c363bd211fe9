"""One Datadog account, as its API shows it, by Datadog's own package `datadog`. Every loop here has an end.

429 is waited for, as long as the answer says, a few times; nothing else is tried again: a push that was cut short is
put right by the next, which finds by name what is there.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import datadog
from datadog.api.api_client import APIClient
from datadog.api.exceptions import DatadogException

from cleartill.telemetry.datadog.assets import Kind

TRIES: Final = 4
LONGEST_PAUSE_S: Final = 60.0
TIMEOUT_S: Final = 30
PAGE: Final = 100
MAX_PAGES: Final = 200
_ANSWERED: Final = [200, 201, 202, 400, 401, 402, 403, 404, 409, 422, 429]
"""Statuses whose `errors` are read here: the package would drop the status, and take an empty list for a failure."""
_PATHS: Final[dict[Kind, str]] = {"slo": "slo", "monitor": "monitor", "dashboard": "dashboard"}
_ENTITIES: Final = "catalog/entity"


class Failed(Exception):
    """Datadog did not do it, or could not be asked; says what it answered. `status` is 0 if it did not."""

    def __init__(self, said: str, status: int = 0) -> None:
        super().__init__(said)
        self.status = status


class NotReceived(Failed):
    """Datadog keeps nothing of a metric before its first point has come."""


class Account:
    """`api_host` is the API's URL, `https://api.<site>`. Settings and connections of the `datadog` package are the
    process's, so there is one account to a process at a time."""

    def __init__(self, api_host: str, api_key: str, app_key: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._pause = pause
        datadog.initialize(
            api_key=api_key, app_key=app_key, api_host=api_host, host_name="cleartill", hostname_from_config=False,
            return_raw_response=True, mute=False, timeout=TIMEOUT_S, max_retries=0,
        )  # fmt: skip

    def listed(self, kind: Kind) -> Iterator[dict[str, Any]]:
        """All SLOs, monitors or dashboards there are; of dashboards not the widgets. Raises Failed."""
        for page in range(MAX_PAGES):
            match kind:
                case "slo":
                    rows = self._ask("GET", "slo", limit=PAGE, offset=page * PAGE)["data"]
                case "monitor":
                    rows = self._ask("GET", "monitor", page=page, page_size=PAGE)
                case _:
                    rows = self._ask("GET", "dashboard", count=PAGE, start=page * PAGE)["dashboards"]
            yield from rows
            if len(rows) < PAGE:
                return
        raise Failed(f"more than {MAX_PAGES * PAGE} of kind {kind}")

    def dashboard(self, identity: str) -> dict[str, Any]:
        """The whole of it. Raises Failed."""
        return dict(self._ask("GET", f"dashboard/{identity}"))

    def service(self, name: str) -> dict[str, Any] | None:
        """Its definition, or None if the catalogue has none. Raises Failed."""
        wanted: dict[str, Any] = {"filter[name]": name, "filter[kind]": "service", "include": "schema"}
        answer = self._ask("GET", _ENTITIES, "v2", **wanted)
        for included in answer.get("included") or ():
            schema = included.get("attributes", {}).get("schema", {})
            if included.get("type") == "schema" and schema.get("metadata", {}).get("name") == name:
                return dict(schema)
        return None

    def create(self, kind: Kind, document: dict[str, Any]) -> dict[str, Any]:
        """The object as Datadog has it now. Raises Failed."""
        if kind == "service":
            self._ask("POST", _ENTITIES, "v2", body=document)
            return document
        return _made(self._ask("POST", _PATHS[kind], body=document))

    def update(self, kind: Kind, identity: str, document: dict[str, Any]) -> dict[str, Any]:
        """The same; the catalogue's entities are created anew under their name. Raises Failed."""
        if kind == "service":
            return self.create(kind, document)
        return _made(self._ask("PUT", f"{_PATHS[kind]}/{identity}", body=document))

    def metadata(self, metric: str) -> dict[str, Any]:
        """What it knows of a metric. Raises NotReceived, Failed."""
        return self._ask_of_metric("GET", f"metrics/{metric}")

    def describe(self, metric: str, metadata: dict[str, Any]) -> dict[str, Any]:
        """The metadata as Datadog has it now. Raises NotReceived, Failed."""
        return self._ask_of_metric("PUT", f"metrics/{metric}", body=metadata)

    def tag_configuration(self, metric: str) -> dict[str, Any] | None:
        """Of a metric that was received; None if it has none, as at first. Raises Failed."""
        try:
            return dict(self._ask("GET", f"metrics/{metric}/tags", "v2")["data"]["attributes"])
        except Failed as failed:
            if failed.status == 404:
                return None
            raise

    def configure_tags(self, metric: str, wanted: dict[str, Any], *, anew: bool) -> dict[str, Any]:
        """A distribution's tag configuration as it is now; `anew` if there was none. Raises NotReceived, Failed."""
        attributes = {"metric_type": "distribution", **wanted} if anew else wanted
        body = {"data": {"type": "manage_tags", "id": metric, "attributes": attributes}}
        answer = self._ask_of_metric("POST" if anew else "PATCH", f"metrics/{metric}/tags", "v2", body)
        return dict(answer["data"]["attributes"])

    def _ask_of_metric(
        self, method: str, path: str, version: str = "v1", body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            return dict(self._ask(method, path, version, body))
        except Failed as failed:
            if failed.status == 404 or (failed.status == 400 and "does not exist" in str(failed)):
                raise NotReceived(str(failed), failed.status) from None
            raise

    def _ask(
        self, method: str, path: str, version: str = "v1", body: dict[str, Any] | None = None, **params: Any
    ) -> Any:
        for tries in range(1, TRIES + 1):
            try:
                answer, response = APIClient.submit(
                    method, path, version, body, suppress_response_errors_on_codes=_ANSWERED, **params
                )
            except (DatadogException, ValueError) as error:
                raise Failed(f"{method} {path}: {error}") from None
            if response.status_code == 429 and tries < TRIES:
                self._pause(_seconds(response.headers))
                continue
            if response.status_code >= 400 or (isinstance(answer, dict) and answer.get("errors")):
                raise Failed(f"{method} {path}: {response.status_code} {_words(answer)}", response.status_code)
            return answer
        raise AssertionError("the last try returns or raises")


def _seconds(headers: Any) -> float:
    """How long the answer asks us to wait, within bounds."""
    asked = headers.get("X-RateLimit-Reset") or headers.get("Retry-After") or "1"
    return min(float(asked), LONGEST_PAUSE_S) if asked.isdecimal() else 1.0


def _words(answer: Any) -> str:
    errors = answer.get("errors", answer) if isinstance(answer, dict) else answer
    return "; ".join(map(str, errors)) if isinstance(errors, list) else str(errors)


def _made(answer: Any) -> dict[str, Any]:
    """SLOs come in a list under `data`."""
    data = answer.get("data", answer)
    return dict(data[0] if isinstance(data, list) else data)
