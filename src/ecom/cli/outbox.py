"""`ecom outbox list|replay SERVICE`: events that did not leave, and once more for those that FAILED."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

outbox = typer.Typer(help="Events on their way to Kafka.", no_args_is_help=True)

Service = Annotated[str, typer.Argument(help="order, payment, inventory, notification, product or search.")]
Prefix = Annotated[str, typer.Option(help="Goes before the schema.")]


class Status(StrEnum):
    """What a record may be."""

    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"


def register(app: typer.Typer) -> None:
    app.add_typer(outbox, name="outbox")


@outbox.command(name="list")
def list_(
    service: Service,
    status: Annotated[Status, typer.Option(case_sensitive=False, help="Which.")] = Status.FAILED,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    prefix: Prefix = "",
) -> None:
    """List a service's events of one status, oldest first."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    loop.run(_list(service, status.value, limit, prefix))


async def _list(name: str, status: str, limit: int, prefix: str) -> None:
    from dovecote import outbox as records
    from ecom.cli.operator import connected

    async with connected(name, prefix=prefix) as service:
        found = await records.records(service.database, status=status, limit=limit)
    for record in found:
        waits = f"  waits for {record.blocked_by}" if record.blocked_by else ""
        error = f"  {record.last_error}" if record.last_error else ""
        typer.echo(
            f"{record.id}  {record.created_at:%Y-%m-%dT%H:%M:%SZ}  {record.event_type}  "
            f"{record.aggregate_id}#{record.sequence}  attempts {record.attempts}{waits}{error}"
        )
    typer.echo(f"{len(found)} {status} events in {name}'s outbox")


@outbox.command()
def replay(
    service: Service,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most this many, oldest first.")] = 100,
    actor: Annotated[str, typer.Option(help="Who asks for it, for the log; without it, this machine's user.")] = "",
    prefix: Prefix = "",
) -> None:
    """Set FAILED events back to PENDING, so that the relay sends them."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    loop.run(_replay(service, limit, actor or os.environ.get("USER") or f"uid {os.getuid()}", prefix))


async def _replay(name: str, limit: int, actor: str, prefix: str) -> None:
    from dovecote import outbox as records
    from ecom.cli.operator import connected

    async with connected(name, prefix=prefix) as service:
        count = await records.replay_failed(service.database, limit=limit, actor=actor)
    typer.echo(f"{count} FAILED events of {name} are PENDING again")
