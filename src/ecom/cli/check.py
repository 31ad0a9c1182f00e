"""`ecom check`: proves configuration, contracts, database and topics, without starting the shop."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dovecote.errors import DovecoteError

if TYPE_CHECKING:
    from ecom.shop import Shop


def register(app: typer.Typer) -> None:
    app.command(name="check")(check)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at, and what is wrong with it, if anything."""

    what: str
    wrong: str = ""


def check(prefix: Annotated[str, typer.Option(help="Goes before every schema and topic.")] = "") -> None:
    """Prove configuration, contracts, database and topics without starting the shop; exit 1 where one is wrong."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    raise typer.Exit(loop.run(_check(prefix)))


async def _check(prefix: str) -> int:
    wrong = 0
    async for finding in _findings(prefix):
        typer.echo(f"WRONG {finding.what}: {finding.wrong}" if finding.wrong else f"ok    {finding.what}")
        wrong += bool(finding.wrong)
    return 1 if wrong else 0


async def _findings(prefix: str) -> AsyncIterator[Finding]:
    from dovecote.contracts.check import check as compare
    from ecom.contracts import CONTRACTS
    from ecom.contracts.check import read_code
    from ecom.local import Home, home_path, joined_servers
    from ecom.shop import SERVICES, Shop

    try:
        checked = compare(CONTRACTS, read_code(os.environ))
    except DovecoteError as error:
        yield Finding("contracts", f"the code cannot be asked: {error}")
    else:
        for problem in checked.problems:
            yield Finding("contracts", str(problem))
        if not checked.problems:
            yield Finding(f"contracts: {len(checked.events)} events agree with registry, schemas and code")
    built = []
    for name in SERVICES:
        try:
            Shop.of([name], os.environ, prefix=prefix)
        except DovecoteError as error:
            yield Finding(f"configuration of {name}", str(error))
        else:
            yield Finding(f"configuration of {name}")
            built.append(name)
    shop = Shop.of(built, os.environ, prefix=prefix)
    try:
        async with joined_servers(Home(home_path(os.environ)), os.environ) as running:
            for name in built:
                yield await _database(shop, name, running.database_url)
            for name in built:
                yield await _topics(shop, name, running.bootstrap)
    except DovecoteError as error:
        yield Finding("servers", str(error))


async def _database(shop: Shop, name: str, database_url: str) -> Finding:
    """One database: it answers, is ours directly and not through a transaction pooler, and its schema is up to date."""
    import asyncio

    from dovecote.checkup import look
    from ecom.shop import shown

    url = shop.url(name, database_url)
    what = f"database of {name} ({shown(url)}, schema {shop.schema(name)})"
    try:
        state = await asyncio.to_thread(
            look, url, schema=shop.schema(name), folders=[shop.built[name].blueprint.migrations]
        )
    except DovecoteError as error:
        return Finding(what, str(error))
    if state.is_pooled:
        return Finding(
            what,
            "a transaction pooler stands before it; the relay's lock needs sessions: give the server's own address",
        )
    if state.missing:
        return Finding(what, f"{len(state.missing)} migrations are missing: run ecom migrate")
    return Finding(what)


async def _topics(shop: Shop, name: str, bootstrap: str) -> Finding:
    from dovecote.kafka import Admin

    what = f"topics of {name} (Kafka {bootstrap})"
    try:
        known = await Admin(bootstrap).topics()
    except DovecoteError as error:
        return Finding(what, str(error))
    missing = [topic for topic in shop.topics(name) if topic not in known]
    return Finding(what, f"missing {', '.join(missing)}: run ecom topics" if missing else "")
