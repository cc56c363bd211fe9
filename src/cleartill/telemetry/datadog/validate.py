"""All that can be known of the assets without Datadog: `scripts/datadog validate`.

Four questions: would the API take them (`shapes`), is every query fed (`catalogued`), are numbers called what they are
(`units`), do they keep our rules (`rules`). Needs `datadog-api-client`, which only development has.
"""

from collections.abc import Iterator

from cleartill.telemetry.datadog.assets import Asset
from cleartill.telemetry.datadog.catalogued import Finding, unknown_in_queries
from cleartill.telemetry.datadog.rules import broken_rules
from cleartill.telemetry.datadog.shapes import defects
from cleartill.telemetry.datadog.units import misnamed_units


def validate(assets: tuple[Asset, ...]) -> list[Finding]:
    """What is wrong, by file and path, each once; nothing is as it should be."""
    return sorted(set(_found(assets)))


def _found(assets: tuple[Asset, ...]) -> Iterator[Finding]:
    """A document that the API would not take is not asked for our rules as well."""
    for asset in assets:
        misshapen = defects(asset)
        for path, why in misshapen:
            yield Finding(asset.file, path, why)
        yield from unknown_in_queries(asset)
        if not misshapen:
            yield from misnamed_units(asset)
            yield from broken_rules(asset, assets)
