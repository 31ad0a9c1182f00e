"""`ecom audit`: orders, money, stock and events compared; it reads everything and writes nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecom.audit.evidence import Given
    from ecom.shop import Shop

# A shop may have another's catalogue; these services then have no schema here.
_MAY_BE_ANOTHERS = ("product", "search")


def register(app: typer.Typer) -> None:
    app.command(name="audit")(audit)


def audit(
    quiesced: Annotated[bool, typer.Option("--quiesced", help="Also ask what holds only at rest.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The findings as one JSON list.")] = False,
    prefix: Annotated[str, typer.Option(help="Goes before every schema, topic and group.")] = "",
    book: Annotated[Path | None, typer.Option(help="The provider's ledger; the home's own where not given.")] = None,
    journal: Annotated[Path | None, typer.Option(help="The clients' own journal, to hold the shop to it.")] = None,
    expected_dead_letters: Annotated[
        Path | None, typer.Option(help="Known poison, a line each: eventId or TOPIC/PARTITION/OFFSET.")
    ] = None,
    expected_failed: Annotated[
        Path | None, typer.Option(help="eventIds of outbox records that had to fail, a line each.")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Say what is asked, and ask nothing.")] = False,
) -> None:
    """Compare the books of a shop that runs, or of one that is stopped; exit 1 where they differ."""
    from ecom.cli import logs, loop

    if list_only:
        _list(as_json=json)
        return
    logs.set_up("WARNING")
    given = _given(journal, expected_dead_letters, expected_failed)
    raise typer.Exit(loop.run(_audit(prefix, book, given, quiesced=quiesced, as_json=json)))


def _list(*, as_json: bool) -> None:
    import msgspec

    from ecom.audit.invariants import ELSEWHERE, INVARIANTS

    if as_json:
        rows = [{"invariant": each.name, "when": each.when.value, "what": each.what} for each in INVARIANTS]
        typer.echo(msgspec.json.encode(rows).decode())
        return
    for each in INVARIANTS:
        typer.echo(f"{each.name:<4} {each.when.value:<12} {each.what}")
    for name, why in ELSEWHERE.items():
        typer.echo(f"{name:<4} {'not here':<12} {why}")


def _given(journal: Path | None, dead_letters: Path | None, failed: Path | None) -> Given:
    """What the options name. Raises typer.BadParameter or JournalError where a file is not what it should be."""
    from uuid import UUID

    from ecom.audit.evidence import Given
    from ecom.audit.journal import read

    try:
        failed_events = frozenset(map(UUID, _lines(failed)))
    except ValueError as error:
        raise typer.BadParameter(f"{failed} holds a line that is no eventId.") from error
    return Given(
        journal=tuple(read(journal)) if journal else (),
        dead_letters=frozenset(_lines(dead_letters)),
        failed_events=failed_events,
    )


def _lines(path: Path | None) -> list[str]:
    """The lines of a file that say something."""
    if path is None:
        return []
    try:
        return [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}.") from error


async def _audit(prefix: str, book: Path | None, given: Given, *, quiesced: bool, as_json: bool) -> int:
    import asyncio
    import contextlib

    import msgspec

    from ecom.audit.run import audit as compare
    from ecom.local import Home, home_path, joined_servers
    from ecom.running import PROVIDER
    from ecom.shop import Shop

    shop = Shop.all(os.environ, prefix=prefix)
    home = Home(home_path(os.environ))
    async with joined_servers(home, os.environ) as on, contextlib.AsyncExitStack() as stack:
        shop = Shop.of(await _ours(shop, on.database_url), os.environ, prefix=prefix)
        services = await asyncio.to_thread(shop.services, on.database_url, on.bootstrap)
        for service in services.values():
            await service.connect()
            stack.push_async_callback(service.stop)
        findings = await compare(
            services.values(), bootstrap=on.bootstrap, book=book or home.path / PROVIDER, quiesced=quiesced, given=given
        )
    if as_json:
        typer.echo(msgspec.json.encode(findings).decode())
        return 1 if findings else 0
    for finding in findings:
        typer.echo(f"{finding.invariant}: {finding.what} ({finding.count})")
        for row in finding.rows:
            typer.echo(f"  {row}")
    typer.echo(f"{len(findings)} findings" if findings else "The books agree.")
    return 1 if findings else 0


async def _ours(shop: Shop, database_url: str) -> list[str]:
    """The services whose tables are ours to compare."""
    import asyncio

    from dovecote.checkup import look

    names = []
    for name in shop.built:
        if name in _MAY_BE_ANOTHERS:
            at = shop.url(name, database_url)
            folder = shop.built[name].blueprint.migrations
            found = await asyncio.to_thread(look, at, schema=shop.schema(name), folders=[folder])
            if {path.stem for path in folder.glob("*.sql")} <= set(found.missing):
                typer.echo(f"There is no {name} service of ours here; what concerns it is not asked.", err=True)
                continue
        names.append(name)
    return names
