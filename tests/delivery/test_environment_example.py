""".env.example against Settings: every setting is there with its default, explained, and nothing that nobody reads."""

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
from deploy.target import _Said
from pydantic.fields import FieldInfo

from cleartill.settings import _SECRETS, Settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / ".env.example").read_text()
LINE = re.compile(r"^(?P<off># )?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$", re.MULTILINE)
RESERVED = {"DD_APP_KEY"}
"""For what is not built yet; callers know these names."""


def env_name(name: str, field: FieldInfo) -> str:
    """The first name under which a setting is read."""
    alias = field.validation_alias
    return str(alias.choices[0]) if hasattr(alias, "choices") else name.upper()


SETTINGS = {env_name(name, field) for name, field in Settings.model_fields.items()}
FILES = {f"{name.upper()}_FILE" for name in _SECRETS}
IN_COMPOSE = set(re.findall(r"\$\{([A-Z0-9_]+)", (ROOT / "docker-compose.yml").read_text())) | {"COMPOSE_PROFILES"}
IN_DEPLOY = {f"DEPLOY_{name.upper()}" for name in _Said.model_fields}
DOCUMENTED = {found["name"]: found for found in LINE.finditer(EXAMPLE)}


def test_every_setting_is_there() -> None:
    missing = (SETTINGS | FILES | IN_COMPOSE | IN_DEPLOY) - DOCUMENTED.keys()
    assert not missing, f"add them to .env.example, then run scripts/readme_tables: {sorted(missing)}"


def test_nothing_else_is_there() -> None:
    unknown = DOCUMENTED.keys() - SETTINGS - FILES - IN_COMPOSE - IN_DEPLOY - RESERVED
    assert not unknown, f"nobody reads these: {sorted(unknown)}"


def test_what_is_reserved_is_off_and_read_by_nobody() -> None:
    assert not RESERVED & (SETTINGS | IN_COMPOSE), "it is read now: take it out of RESERVED, and from under its heading"
    assert all(DOCUMENTED[name]["off"] for name in RESERVED)


def test_a_copy_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper() in SETTINGS | IN_DEPLOY:
            monkeypatch.delenv(name)
    copied = Settings(_env_file=ROOT / ".env.example").model_dump()  # type: ignore[call-arg]
    plain = Settings(_env_file=None).model_dump()  # type: ignore[call-arg]
    assert copied == plain, "the values in .env.example are the defaults of settings.py"
    copied, plain = (_Said(_env_file=file).model_dump() for file in (ROOT / ".env.example", None))  # type: ignore[call-arg]
    assert copied == plain, "the values in .env.example are the defaults of scripts/deploy/target.py"


def test_every_line_is_explained() -> None:
    lines = pairwise(["", *EXAMPLE.splitlines()])
    bare = [line for above, line in lines if LINE.match(line) and (LINE.match(above) or not above.startswith("# "))]
    assert not bare, f"say in the line above what it means: {bare}"


@pytest.mark.parametrize("name", ["SECRET_KEY", "ENCRYPTION_KEY", "WEBHOOK_SECRET"])
def test_production_refuses_each_secret_of_the_example(name: str) -> None:
    own = {"secret_key": "s" * 32, "encryption_key": "1:" + "A" * 43 + "=", "webhook_secret": "w" * 32}
    fit = {"_env_file": None, "env": "production", "seed_demo": False, "debug": False}
    fit |= {"database_url": "postgresql://u:own@books/cleartill?sslmode=verify-full"}
    assert Settings(**fit, **own).env == "production"
    with pytest.raises(ValueError, match="production needs its own"):
        Settings(**fit, **{**own, name.lower(): DOCUMENTED[name]["value"]})
