"""`ecom catalogue`: a real import as a user runs it, broken off in its midst, and beside a shop that is open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from dovecote.testing import eventually
from ecom.datasets import articles
from tests.cli.conftest import Command, line_with

MANY = 20_000
SOME = 2_500


@pytest.fixture(autouse=True, scope="session")
def cached(private_home: Any) -> None:
    """The data set, read once for all commands."""
    articles.products(Path(private_home.path) / "cache")


@contextlib.asynccontextmanager
async def looking(ecom: Command) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the commands' database."""
    connection = await asyncpg.connect(ecom.environ["ECOM_DATABASE_URL"])
    try:
        yield connection
    finally:
        await connection.close()


async def counts(ecom: Command) -> dict[str, int]:
    """How much of everything an import makes is there."""
    tables = {
        "products": "product_service.product",
        "versions": "product_service.product WHERE version > 1",
        "events": "product_service.outbox_event_record",
        "stock": "inventory_service.stock",
        "movements": "inventory_service.stock_movement",
    }
    async with looking(ecom) as connection:
        return {
            name: await connection.fetchval(f"SELECT count(*) FROM {ecom.prefix}{table}")
            for name, table in tables.items()
        }


async def test_an_import_without_a_shop_says_when_its_events_leave(ecom: Command) -> None:
    """The schemas are made, the products are there, a second run changes nothing and says so, as text and as JSON."""
    command = ("catalogue", "import", "--products", str(SOME), "--stock", "5", "--prefix", ecom.prefix)
    code, out, err = await ecom.run(*command)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        (
            "2,500 products are in the catalogue: 2,500 new or changed, "
            "2,500 put on stock for the first time (5 units each)."
        ),
        "2,500 events are in the outbox: they leave when the shop starts (ecom up).",
    ]
    expected = {"products": SOME, "versions": 0, "events": SOME, "stock": SOME, "movements": SOME}
    assert await counts(ecom) == expected
    code, out, err = await ecom.run(*command, "--json")
    assert code == 0
    assert "nothing was changed" in err
    result = json.loads(out)
    assert result.pop("seconds") > 0
    assert result == {"products": SOME, "changed": 0, "stocked": 0, "waiting": SOME, "relayed": False}
    assert await counts(ecom) == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_an_import_that_was_broken_off_goes_on(ecom: Command, number: signal.Signals) -> None:
    """Ctrl-C says how far it came, a kill says nothing; after either the next run does the rest, and only that."""
    command = ("catalogue", "import", "--products", str(MANY), "--prefix", ecom.prefix)
    process = await ecom.start(*command)

    async def is_midway() -> bool:
        with contextlib.suppress(asyncpg.UndefinedTableError):
            return (await counts(ecom))["stock"] > 0
        return False

    await eventually(is_midway, seconds=60, what="some products are there")
    process.send_signal(number)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    if number is signal.SIGINT:
        assert process.returncode == 128 + signal.SIGINT
        assert f"of {MANY:,}. What is done is done; run the same command again, and it goes on from there." in str(out)
    before = await counts(ecom)
    assert 0 < before["stock"] < MANY
    assert before["products"] < MANY
    code, out_again, err = await ecom.run(*command, "--json")
    assert code == 0, err
    result = json.loads(out_again)
    # What a killed process had just sent may still be committed after it is gone.
    assert 0 < result["changed"] <= MANY - before["products"]
    assert 0 < result["stocked"] <= MANY - before["stock"]
    assert await counts(ecom) == {"products": MANY, "versions": 0, "events": MANY, "stock": MANY, "movements": MANY}


async def test_an_import_beside_an_open_shop_can_be_found_and_bought(ecom: Command, port: int) -> None:
    """Its events leave through the shop's relay: search finds the products, order sells at their price and no other."""
    shop = await ecom.start("up", "--port", str(port), "--prefix", ecom.prefix)
    await line_with(shop, "The shop is open")
    command = ("catalogue", "import", "--products", str(SOME), "--prefix", ecom.prefix, "--json")
    code, out, err = await ecom.run(*command)
    assert code == 0, err
    assert json.loads(out)["relayed"]
    url = f"http://127.0.0.1:{port}/api"
    async with aiohttp.ClientSession() as http:

        async def found() -> list[dict[str, Any]]:
            async with http.get(f"{url}/search/products", params={"q": "bananas 40 lb"}) as answer:
                page: dict[str, Any] = await answer.json()
                return [hit for hit in page["content"] if hit["name"] == "BANANAS 40 LB"]

        hit = (await eventually(found, seconds=30, what="search finds what was imported"))[0]
        line = {"productId": hit["productId"], "sku": hit["productId"], "quantity": 2}
        statuses = []
        for price in (hit["price"] + 1, hit["price"]):
            body = {"userId": 1, "currency": "USD", "items": [{**line, "unitPrice": price}]}
            async with http.post(f"{url}/orders", json=body) as answer:
                statuses.append(answer.status)
        assert statuses == [422, 201]

    async def is_sent() -> bool:
        async with looking(ecom) as connection:
            unsent = "SELECT count(*) FROM {}product_service.outbox_event_record WHERE status <> 'SENT'"
            return bool(await connection.fetchval(unsent.format(ecom.prefix)) == 0)

    await eventually(is_sent, seconds=30, what="every event has left")


async def test_announce_says_every_product_again(ecom: Command) -> None:
    """A new version and a new event for each product, and nothing else."""
    await ecom.run("catalogue", "import", "--products", "1200", "--prefix", ecom.prefix)
    code, out, err = await ecom.run("catalogue", "announce", "--prefix", ecom.prefix)
    assert (code, err) == (0, "")
    assert out.startswith("1,200 products were said again, each under a new version.\n2,400 events are in the outbox")
    assert await counts(ecom) == {
        **dict.fromkeys(("products", "versions", "stock", "movements"), 1200),
        "events": 2400,
    }


async def test_servers_that_are_away_are_one_line(ecom: Command, port: int) -> None:
    """Whoever forgot to start the database is told so, without a traceback."""
    away = f"postgresql://ecom@127.0.0.1:{port}/ecom"
    code, out, err = await ecom.run("catalogue", "import", "--products", "10", ECOM_DATABASE_URL=away)
    assert (code, out) == (1, "")
    assert err.startswith("ecom: The database cannot be reached")
    assert err.count("\n") == 1


async def test_kafka_that_is_away_keeps_nobody_from_importing(ecom: Command, port: int) -> None:
    """Products go into the database; their events wait there for a shop and its broker."""
    command = ("catalogue", "import", "--products", "10", "--prefix", ecom.prefix)
    code, out, err = await ecom.run(*command, ECOM_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}")
    assert (code, err) == (0, "")
    assert "10 events are in the outbox" in out


@pytest.mark.parametrize("wrong", [("--products", "0"), ("--stock", "-1"), ("--prefix", "Robert'); DROP TABLE")])
async def test_wrong_options_are_refused(ecom: Command, wrong: tuple[str, str]) -> None:
    """A number out of bounds or a prefix that is no name ends before anything starts."""
    code, out, err = await ecom.run("catalogue", "import", *wrong)
    assert code in (1, 2)
    assert out == ""
    assert "Traceback" not in err
