"""The data: bring the database up to date, and fill it."""

from typing import Annotated

import typer

from cleartill.cli.desk import run, say, settings_here

app = typer.Typer()


@app.command()
def migrate() -> None:
    """Bring the database up to date."""
    from cleartill.adapters.postgres.migrate import upgrade

    upgrade(settings_here().database_url)
    say.print("The database is up to date.")


@app.command()
def seed(
    reset: Annotated[bool, typer.Option(help="Empty the database first, and make a payment of every outcome.")] = False,
) -> None:
    """The demo merchant and its documented keys. Safe to repeat; refused in production."""
    from cleartill.adapters.postgres.migrate import reset as reset_database
    from cleartill.demo import fill, seed_demo
    from cleartill.wiring import build

    settings = settings_here()
    if not settings.seed_demo:
        say.print("SEED_DEMO is off: no demo merchant.")
        raise typer.Exit(1 if reset else 0)
    if reset:
        reset_database(settings.database_url)

    async def main() -> None:
        async with build(settings.hushed(), role="seed").running(start_tries=3) as till:
            await seed_demo(till)
            if reset:
                await fill(till, say.print)

    run(main())
    say.print("The demo merchant is there.")
