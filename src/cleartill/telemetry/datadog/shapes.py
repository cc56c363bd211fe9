"""Are the documents what Datadog's API takes? Checked against the typed models of `datadog-api-client`, strictly.

The package's own parser is made for answers of a newer API and lets through what it does not know: unknown keys become
additional properties, an object that fits nothing stays unparsed. So the models' own tables (types, allowed words,
bounds, alternatives) are walked here beside the document, and everything they do not name is a defect with its path.
The package is for development; without it this module cannot be imported.
"""

import inspect
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from datadog_api_client.model_utils import ModelComposed, ModelNormal, ModelSimple, OpenApiModel, check_validations
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.service_level_objective_request import ServiceLevelObjectiveRequest
from datadog_api_client.v2.model.entity_v3 import EntityV3

from cleartill.telemetry.datadog.assets import Asset, Kind

Defect = tuple[str, str]
"""A path, and what is wrong there."""
MODELS: Final[dict[Kind, type[OpenApiModel]]] = {
    "dashboard": Dashboard,
    "monitor": Monitor,
    "slo": ServiceLevelObjectiveRequest,
    "service": EntityV3,
}
_DISCRIMINATORS: Final = frozenset({"type", "data_source", "request_type", "kind", "response_format"})
"""Keys whose words say which of several models an object is of."""
_SIMPLE: Final[dict[object, tuple[type, ...]]] = {
    **{plain: (plain,) for plain in (str, bool, int, dict, list, type(None))},
    **dict.fromkeys((datetime, date, UUID), (str,)),
    float: (int, float),
}
"""A type of the models → what JSON makes of it."""


def defects(asset: Asset) -> list[Defect]:
    """What Datadog's API would not know in it; nothing if it takes it whole."""
    return misfits(MODELS[asset.kind], asset.document)


def misfits(model: type[OpenApiModel], document: dict[str, Any]) -> list[Defect]:
    """The same of any document and model."""
    return [(path or ".", why) for path, why in _of_model(model, document, "")]


def _of_types(types: Iterable[object], value: Any, path: str) -> list[Defect]:
    """A value may be of any of `types`; of several that do not fit the nearest speaks."""
    tries = [_of_type(wanted, value, path) for wanted in types]
    return min(tries, key=len) if tries else [(path, "not allowed")]


def _of_type(wanted: object, value: Any, path: str) -> list[Defect]:
    """`[x]` is a list of x, `{str: (x, …)}` an object of any keys with values of x."""
    if isinstance(wanted, list):
        if not isinstance(value, list):
            return [(path, "must be a list")]
        return [defect for index, inner in enumerate(value) for defect in _of_types(wanted, inner, f"{path}[{index}]")]
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            return [(path, "must be an object")]
        return [defect for key, inner in value.items() for defect in _of_types(wanted[str], inner, f"{path}.{key}")]
    if isinstance(wanted, type) and issubclass(wanted, OpenApiModel):
        return _of_model(wanted, value, path)
    fits = isinstance(value, _SIMPLE[wanted]) and (wanted is bool or not isinstance(value, bool))
    return [] if fits else [(path, f"must be of type {getattr(wanted, '__name__', wanted)}, not {value!r:.60}")]


def _of_model(model: type[OpenApiModel], value: Any, path: str) -> list[Defect]:
    if issubclass(model, ModelSimple):
        return _of_word(model, value, path)
    if issubclass(model, ModelComposed):
        choices = [choice for choice in model._composed_schemas["oneOf"] if _speaks_like(choice, value)]
        if choices:
            return _of_types(choices, value, path)
        said = {key: inner for key, inner in value.items() if key in _DISCRIMINATORS} if isinstance(value, dict) else {}
        return [(path, f"fits none of the {model.__name__} there are: {said or repr(value)[:60]}")]
    if not isinstance(value, dict):
        return [(path, f"must be an object, {model.__name__}")]
    return _of_object(model, value, path)


def _of_word(model: type[ModelSimple], value: Any, path: str) -> list[Defect]:
    """One of a list of words, or a plain value with a name."""
    found = _of_types(model.openapi_types["value"], value, path)
    allowed = getattr(model, "allowed_values", None)
    if not found and allowed and value not in allowed:
        return [(path, f"must be one of {', '.join(map(str, sorted(allowed)))}, not {value!r}")]
    return found


def _of_object(model: type[OpenApiModel], value: dict[str, Any], path: str) -> list[Defect]:
    names = {written: name for name, written in model.attribute_map.items()}
    missing = sorted(model.attribute_map[name] for name in _required(model) if model.attribute_map[name] not in value)
    found = [(path, f"{key} is missing") for key in missing]
    for key, inner in value.items():
        here = f"{path}.{key}"
        name = names.get(key)
        if name is None:
            found.append((here, f"unknown key, {model.__name__} has none of that name"))
        elif name in model.read_only_vars:
            found.append((here, "is Datadog's to set: leave it out"))
        else:
            found += _of_types(model.openapi_types[name], inner, here) or _out_of_bounds(model, name, inner, here)
    return found


def _out_of_bounds(model: type[OpenApiModel], name: str, value: Any, path: str) -> list[Defect]:
    try:
        check_validations(model.validations.get(name, {}), name, value)  # type: ignore[no-untyped-call]
    except ValueError as error:
        return [(path, str(error))]
    return []


def _speaks_like(model: object, value: Any) -> bool:
    """False if one of the object's own words (`type`, `data_source` …) belongs to another model."""
    if isinstance(model, type) and issubclass(model, ModelComposed):
        return any(_speaks_like(choice, value) for choice in model._composed_schemas["oneOf"])
    if not (isinstance(model, type) and issubclass(model, ModelNormal) and isinstance(value, dict)):
        return True
    for name, written in model.attribute_map.items():
        if written in _DISCRIMINATORS and written in value and _of_types(model.openapi_types[name], value[written], ""):
            return False
    return True


def _required(model: type[OpenApiModel]) -> tuple[str, ...]:
    """The arguments that a model cannot be made without."""
    parameters = inspect.signature(model.__init__).parameters.values()
    return tuple(
        parameter.name
        for parameter in parameters
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and parameter.default is parameter.empty
        and parameter.name in model.attribute_map
    )
