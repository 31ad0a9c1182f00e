"""`ecom audit`: orders, money, stock and events compared; it reads everything and writes nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
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
) -> None:
    """Compare the books of a shop that runs, or of one that is stopped; exit 1 where they differ."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    raise typer.Exit(loop.run(_audit(prefix, book, quiesced=quiesced, as_json=json)))


async def _audit(prefix: str, book: Path | None, *, quiesced: bool, as_json: bool) -> int:
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
            services.values(), bootstrap=on.bootstrap, book=book or home.path / PROVIDER, quiesced=quiesced
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
