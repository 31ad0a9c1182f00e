"""`ecom dlq list|show|redrive SERVICE`: dead letters, with their bytes and errors, and once more in place."""

from __future__ import annotations

from typing import Annotated

import typer

dlq = typer.Typer(help="Dead letters.", no_args_is_help=True)

Service = Annotated[str, typer.Argument(help="order, payment, inventory, notification, product or search.")]
Number = Annotated[int, typer.Argument(help="The letter's number, as `list` shows it.")]
Prefix = Annotated[str, typer.Option(help="Goes before schema and group.")]


def register(app: typer.Typer) -> None:
    app.add_typer(dlq, name="dlq")


@dlq.command(name="list")
def list_(
    service: Service,
    every: Annotated[bool, typer.Option("--all", help="Also those that are DONE.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    prefix: Prefix = "",
) -> None:
    """List a service's dead letters, newest first."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    loop.run(_list(service, every, limit, prefix))


async def _list(name: str, every: bool, limit: int, prefix: str) -> None:
    from dovecote import deadletter
    from ecom.cli.operator import connected

    statuses = (*deadletter.OPEN, "DONE") if every else deadletter.OPEN
    async with connected(name, prefix=prefix) as service:
        found = await deadletter.letters(service.database, limit=limit, statuses=statuses)
    for letter in found:
        typer.echo(
            f"{letter.id}  {letter.created_at:%Y-%m-%dT%H:%M:%SZ}  {letter.status}  {letter.event_type or '?'}  "
            f"{letter.topic}/{letter.partition}@{letter.offset}  attempts {letter.attempts}  {letter.error}"
        )
    typer.echo(f"{len(found)} dead letters of {name}")


@dlq.command()
def show(service: Service, number: Number, prefix: Prefix = "") -> None:
    """Show one dead letter whole."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    raise typer.Exit(loop.run(_show(service, number, prefix)))


async def _show(name: str, number: int, prefix: str) -> int:
    from dovecote import deadletter
    from ecom.cli.operator import connected

    async with connected(name, prefix=prefix) as service:
        letter = await deadletter.letter(service.database, number)
    if letter is None:
        typer.echo(f"ecom: {name} has no dead letter {number}.", err=True)
        return 1
    for label, value in (
        ("status", letter.status),
        ("group", letter.consumer_group),
        ("place", f"{letter.topic}/{letter.partition}@{letter.offset}"),
        ("event", f"{letter.event_type or '?'} {letter.event_id or 'without an eventId'}"),
        ("attempts", letter.attempts),
        ("next try", letter.next_attempt_at or "none"),
        ("error", letter.error),
        ("key", (letter.key or b"").decode(errors="backslashreplace")),
        ("headers", letter.headers),
        ("value", "null" if letter.value is None else letter.value.decode(errors="backslashreplace")),
    ):
        typer.echo(f"{label:9} {value}")
    return 0


@dlq.command()
def redrive(
    service: Service,
    numbers: Annotated[list[int], typer.Argument(help="The letters' numbers.")],
    prefix: Prefix = "",
) -> None:
    """Run the handler on the stored bytes once more; what succeeds is DONE in the same transaction."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    raise typer.Exit(loop.run(_redrive(service, numbers, prefix)))


async def _redrive(name: str, numbers: list[int], prefix: str) -> int:
    from ecom.cli.operator import connected

    worst = 0
    async with connected(name, prefix=prefix) as service:
        for number in numbers:
            status = await service.redrive.one(number)
            typer.echo(f"{number}  {status}")
            worst = worst or (0 if status == "DONE" else 1)
    return worst
