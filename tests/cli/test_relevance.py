"""`ecom relevance`: the judged queries asked of a running shop, or of the index in a database."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from aiohttp import web

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from ecom.contracts import CONTRACTS
from ecom.search.domain import Upserted, upserted
from ecom.search.judge import load
from ecom.search.postgres import PostgresIndex
from ecom.search.service import NAME, SCHEMA
from ecom.shop import Shop
from tests.cli.conftest import Command

AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
async def shampoo_only() -> AsyncIterator[str]:
    """A shop that finds shampoo, whatever it is asked."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"content": [{"productId": "1", "name": "SHAMPOO 13 OZ"}], "totalElements": 1})

    app = web.Application()
    app.router.add_get("/api/search/products", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield site.name
    await runner.cleanup()


async def test_a_running_shop_is_asked_over_http(ecom: Command, shampoo_only: str) -> None:
    """Its first hits are judged: shampoo is right for its own queries, and a miss for all others, nonsense too."""
    code, out, err = await ecom.run("relevance", "--url", shampoo_only, "--set", "tuning", "--json")
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    queries = load("tuning")
    rightly = [each.query for each in queries if "shampo" in each.query]
    assert report["tuning"]["queries"] == len(queries)
    assert report["tuning"]["success_at_1"] == report["tuning"]["mrr_at_10"] == round(len(rightly) / len(queries), 4)
    missed = {miss["query"]: miss for miss in report["tuning"]["misses"]}
    assert len(missed) == len(queries) - len(rightly)
    assert missed["trombone"] == {"query": "trombone", "kind": "nonsense", "rank": None, "first": ["SHAMPOO 13 OZ"]}


async def test_a_person_reads_both_sets_and_their_misses(ecom: Command, shampoo_only: str) -> None:
    """Without --json: a table of the figures and one of the misses."""
    code, out, err = await ecom.run("relevance", "--url", shampoo_only, COLUMNS="200")
    assert code == 0, err
    assert "success@1" in out
    assert "MRR@10" in out
    assert "held_out" in out
    assert "submarine periscope" in out


async def test_a_shop_that_does_not_answer_is_said(ecom: Command, port: int) -> None:
    """One sentence with the address, and no traceback."""
    code, _, err = await ecom.run("relevance", "--url", f"http://127.0.0.1:{port}")
    assert code == 1
    assert f"http://127.0.0.1:{port} does not answer" in err
    assert "Traceback" not in err


async def test_without_an_address_the_databases_own_index_is_asked(ecom: Command) -> None:
    """An empty index is no figure; with products in it the command serves search for as long as it asks."""
    arguments = ("relevance", "--prefix", ecom.prefix, "--set", "tuning", "--json")
    code, _, err = await ecom.run(*arguments)
    assert code != 0
    assert "no product in the index" in err

    url = ecom.environ["ECOM_DATABASE_URL"]
    shop = Shop.of(("search",), os.environ, prefix=ecom.prefix)
    database = await Database.connect(
        url, schema=ecom.prefix + SCHEMA, voice=Voice(NAME, Contracts.load(CONTRACTS), {}), role=None
    )
    try:
        await _index(database)
        code, out, err = await ecom.run(*arguments)
        assert code == 0, err
        missed = {miss["query"] for miss in json.loads(out.splitlines()[-1])["tuning"]["misses"]}
        assert "shampo" not in missed
        assert "lettuce" in missed
    finally:
        await database.close()
        await shop.drop(url, ecom.environ["ECOM_KAFKA_BOOTSTRAP_SERVERS"])


async def _index(database: Database) -> None:
    """Put one product into the index as an event of it would."""
    event = Upserted(product_id="1", name="SHAMPOO 13 OZ", price=Decimal("1.99"), category="HAIR CARE", version=1)
    async with database.transaction() as tx:
        await PostgresIndex().apply(tx, [upserted(event, AT)])
