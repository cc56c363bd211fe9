"""Merchants and keys: API keys that merchants come with, and the key ring that cards are sealed under."""

import os
from base64 import b64encode
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cleartill.cli.desk import run, say, settings_here
from cleartill.domain.ids import new_id
from cleartill.domain.merchant import MERCHANT_SCOPES, Principal, Scope, new_key
from cleartill.ports import Origin, Till
from cleartill.settings import Settings

if TYPE_CHECKING:
    from cleartill.adapters.aesgcm import KeyRing

app = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="API keys, and the key ring that cards are sealed under.")
app.add_typer(keys, name="keys")

MerchantId = Annotated[str, typer.Option("--merchant", help="The merchant's id.")]


def _origin() -> Origin:
    return Origin(actor="cli", request_id="", trace_id=token_hex(16), span_id=token_hex(8), keep=False)


def _on_the_till(settings: Settings, work: Callable[[Till], Awaitable[None]]) -> None:
    from cleartill.wiring import build

    async def main() -> None:
        async with build(settings.hushed(), role="cli").running(start_tries=3) as till:
            await work(till)

    run(main())


def _fresh_key(settings: Settings) -> str:
    return new_key("live" if settings.env == "production" else "test")


@app.command()
def onboard(
    name: Annotated[str, typer.Option(help="What people call it.")],
    email: Annotated[str, typer.Option(help="Its own: one account each.")],
    admin: Annotated[bool, typer.Option("--admin", help="Its key may act for every merchant.")] = False,
) -> None:
    """Take on a merchant: prints its id, and its first API key, once."""
    from cleartill.usecases.onboard import onboard as take_on

    settings = settings_here()
    key, scopes = _fresh_key(settings), tuple(Scope) if admin else MERCHANT_SCOPES

    async def work(till: Till) -> None:
        merchant, _ = await take_on(
            till, merchant_id=new_id("mer"), name=name, email=email, key=key, scopes=scopes, origin=_origin()
        )
        typer.echo(f"merchant {merchant.id}\napi key  {key}")

    _on_the_till(settings, work)


@keys.command("list")
def list_keys(merchant: MerchantId) -> None:
    """A merchant's API keys, masked."""

    async def work(till: Till) -> None:
        table = Table("id", "name", "key", "scopes", "made", "last used", "revoked", box=None)
        for key in await till.merchants.keys(merchant):
            times = (f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (key.created_at, key.last_used_at, key.revoked_at))
            table.add_row(key.id, escape(key.name), f"{key.prefix}…", " ".join(key.scopes), *times)
        say.print(table)

    _on_the_till(settings_here(), work)


@keys.command()
def create(
    merchant: MerchantId,
    name: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="Several may be given; all but admin by itself.")] = None,
) -> None:
    """Make another API key for a merchant: prints its id and the key, once."""
    from cleartill.usecases.issue_key import issue_key

    settings = settings_here()
    key = _fresh_key(settings)
    operator = Principal(merchant, "cli", frozenset(Scope))

    async def work(till: Till) -> None:
        scopes = tuple(scope or MERCHANT_SCOPES)
        made = await issue_key(
            till, operator, merchant_id=merchant, name=name, key=key, scopes=scopes, origin=_origin()
        )
        typer.echo(f"key id  {made.id}\napi key {key}")

    _on_the_till(settings, work)


@keys.command()
def revoke(key_id: str, merchant: MerchantId) -> None:
    """Revoke an API key: no process accepts it any more."""

    async def work(till: Till) -> None:
        revoked = await till.merchants.revoke_key(merchant, key_id, till.clock.now(), _origin())
        typer.echo(f"{revoked.id} is revoked since {revoked.revoked_at:%Y-%m-%d %H:%M:%S} UTC.")

    _on_the_till(settings_here(), work)


@keys.command("new")
def new_ring_key(version: Annotated[int, typer.Option(min=1, max=2**31 - 1)] = 1) -> None:
    """A fresh key for ENCRYPTION_KEY; append it to the ring with a comma, the last one is current."""
    typer.echo(f"{version}:{b64encode(os.urandom(32)).decode()}")


@keys.command()
def ring() -> None:
    """What is sealed under each key of ENCRYPTION_KEY, and which of them may be taken out.

    Exits 1 if anything is sealed under a key that is not in the ring: it cannot be opened.
    """
    from cleartill.adapters.aesgcm import KeyRing

    settings = settings_here()
    held = KeyRing.parse(settings.encryption_key.get_secret_value())

    async def work(till: Till) -> None:
        cards, secrets = await till.backlog.cards_by_key(), await till.webhooks.secrets_by_key()
        table = Table("key", "cards", "webhook secrets", "", box=None)
        for version in sorted({*held.keys, *cards, *secrets}):
            count = cards.get(version, 0), secrets.get(version, 0)
            table.add_row(str(version), *(f"{number:,}" for number in count), _standing(held, version, any(count)))
        say.print(table)
        if {*cards, *secrets} - held.keys.keys():
            raise typer.Exit(1)

    _on_the_till(settings, work)


def _standing(held: "KeyRing", version: int, seals: bool) -> str:
    if version not in held.keys:
        return "[red]is not in the ring: what it seals cannot be opened[/]"
    if version == held.current:
        return "current: seals what is new"
    if seals:
        return "in use: run `cleartill keys rotate` before it is taken out"
    return "seals nothing: may be taken out, once no process has it last"


@keys.command()
def rotate() -> None:
    """Re-wrap every card under the ring's current key, while the service runs; resumes when run again."""
    from cleartill.usecases.rotate_keys import rotate_keys

    async def work(till: Till) -> None:
        with say.status("re-wrapping") as shown:
            done = await rotate_keys(till, progress=lambda count: shown.update(f"{count} cards re-wrapped"))
        say.print(f"{done} cards re-wrapped; every card is under key {till.vault.key_version}.")

    _on_the_till(settings_here(), work)
