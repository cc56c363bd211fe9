"""The audit chain: verify it, and get its head to keep elsewhere."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.markup import escape
from rich.table import Table

from cleartill.cli.desk import run, say, settings_here
from cleartill.domain.audit_chain import Head
from cleartill.domain.audit_walk import Verdict
from cleartill.domain.errors import CleartillError
from cleartill.settings import Settings

app = typer.Typer()
audit = typer.Typer(no_args_is_help=True, help="The audit log's chain: whether it is whole, and how far it goes.")
app.add_typer(audit, name="audit")

SOUND, BROKEN, COULD_NOT_RUN = 0, 1, 2


@audit.command()
def verify(
    kept: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="FILE", help="A head that was kept: what `audit head` printed; - for stdin."),
    ] = None,
    kafka: Annotated[bool, typer.Option(help="Hold it against the heads that Kafka has, too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as JSON, for programs.")] = False,
) -> None:
    """Make every seal anew, and compare with heads that are known from elsewhere.

    Exits 0 if nothing was touched, 1 if anything was, 2 if it could not be found out.
    """
    try:
        held = [head for name in kept or () for head in _heads_in(name)]
        verdict = uvloop.run(_verify(settings_here().hushed(), held, kafka=kafka, quiet=as_json))
    except (Exception, KeyboardInterrupt) as error:  # whatever it was: nothing is known, and 1 would say that it is
        reason = str(error) if isinstance(error, CleartillError) else f"{type(error).__name__} {error}".splitlines()[0]
        if as_json:
            typer.echo(json.dumps({"sound": None, "error": reason}))
        else:
            say.print(f"[red]Could not verify.[/] {escape(reason)}")
        raise typer.Exit(COULD_NOT_RUN) from None
    if as_json:
        typer.echo(json.dumps(verdict.view(), indent=2))
    else:
        _show(verdict)
    raise typer.Exit(SOUND if verdict.sound else BROKEN)


@audit.command()
def head() -> None:
    """Print how far the chain goes, as JSON: to be kept where nobody who can change the books can change it."""
    run(_print_head(settings_here().hushed()))


async def _print_head(settings: Settings) -> None:
    from cleartill.wiring import build

    async with build(settings, role="audit").running(start_tries=3) as till:
        typer.echo(json.dumps((await till.chain.chain()).head.view()))


def _heads_in(name: str) -> list[Head]:
    """One head, a list of them, or one a line. Raises ValueError, OSError."""
    text = sys.stdin.read() if name == "-" else Path(name).read_text()
    try:
        document: Any = json.loads(text)
    except ValueError:
        document = [json.loads(line) for line in text.splitlines() if line.strip()]
    found = [Head.parse(one) for one in (document if isinstance(document, list) else [document])]
    if not found:
        raise ValueError(f"{name} holds no head")
    return found


async def _verify(settings: Settings, kept: list[Head], *, kafka: bool, quiet: bool) -> Verdict:
    """Kafka is read first: what it has was sealed by then."""
    from cleartill.adapters.kafka_heads import heads
    from cleartill.usecases.verify_audit import verify_audit
    from cleartill.wiring import build

    with say.status("reading Kafka", spinner="dots") if not quiet else _Silent() as shown:
        published = heads(settings.kafka_bootstrap_servers, settings.kafka_topic) if kafka else []

        async def progress(rows: int) -> None:
            shown.update(f"{rows:,} rows")

        async with build(settings, role="audit").running(start_tries=3) as till:
            return await verify_audit(till, kept, published, progress)


class _Silent:
    """In place of a spinner, where a program reads."""

    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, told: str) -> None: ...


def _show(verdict: Verdict) -> None:
    head = verdict.head
    say.print(f"Chain {head.chain}: {verdict.rows:,} rows up to {head.number:,}, {head.seal.hex()}")
    others = f"; {verdict.others:,} are of chains before it" if verdict.others else ""
    say.print(f"  held against {verdict.anchors:,} heads from elsewhere{others}")
    if verdict.sound:
        say.print("[green]Nothing was touched.[/]")
        return
    wrong = Table("first bad number", "what was done", "", box=None)
    for fault in verdict.faults:
        wrong.add_row(f"{fault.number}", fault.kind, escape(fault.details))
    say.print(wrong)
    say.print(f"[red]The audit log was tampered with[/] from {verdict.faults[0].number} on: {verdict.faults[0].kind}.")
