"""The evaluation over HTTP, on a real index of a few products: what the wire contract promises of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from ecom.contracts import CONTRACTS
from ecom.search.domain import Upserted, upserted
from ecom.search.judge import SETS, load
from ecom.search.postgres import PostgresIndex
from ecom.search.service import NAME, SCHEMA, build
from ecom.web.application import application

AT = datetime(2026, 1, 2, tzinfo=UTC)
PATH = "/api/search/admin/relevance/evaluate"
NAMES = {"1": "SHAMPOO 13 OZ", "2": "SHAMPOO", "3": "HEAD LETTUCE 24 CT"}


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The service's routes on an index of three products."""
    database = await Database.connect(database_url, schema=SCHEMA, voice=Voice(NAME, Contracts.load(CONTRACTS), {}))
    events = [Upserted(product_id=key, name=name, price=Decimal(1), version=1) for key, name in NAMES.items()]
    async with database.transaction() as tx:
        await PostgresIndex().apply(tx, [upserted(event, AT) for event in events])
    built = build({"APP_SEARCH_RELEVANCE_TARGETPASSRATE": "5.0"})
    transport = httpx.ASGITransport(app=application([(built, database)]))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client
    await database.close()


async def test_both_sets_are_asked_of_this_index_and_counted(client: httpx.AsyncClient) -> None:
    """Shampoo and lettuce are found and nonsense finds nothing; what the index does not have fails."""
    answer = (await client.get(PATH)).json()
    queries = [judged for name in SETS for judged in load(name)]
    assert answer["datasetSize"] == len(queries) == answer["passed"] + answer["failed"]
    assert answer["passRate"] == round(100 * answer["passed"] / len(queries), 2)
    assert answer["targetPassRate"] == 5.0
    assert answer["meetsTarget"] is (answer["passRate"] >= 5.0)
    assert set(answer["sets"]) == set(SETS)
    results = {result["query"]: result for result in answer["results"]}
    assert len(results) == len(queries)
    found = results["shampo"]
    assert found["topMatch"] is found["expectedPresentInTopN"] is True
    assert found["expectedTopProductId"] == found["actualTopProductId"] in {"1", "2"}
    assert set(found["topProductIds"]) == {"1", "2"}
    assert results["lettuce"]["topProductIds"] == ["3"]
    nonsense = [results[judged.query] for judged in queries if judged.wants_nothing]
    assert all(result["topMatch"] and result["topProductIds"] == [] for result in nonsense)
    missed = results["garlic bread"]
    assert (missed["topMatch"], missed["expectedTopProductId"], missed["actualTopProductId"]) == (False, None, None)


async def test_top_n_bounds_what_is_shown(client: httpx.AsyncClient) -> None:
    """One id a query with topN=1; out of bounds is 400 and names the field."""
    answer = (await client.get(PATH, params={"topN": 1})).json()
    assert max(len(result["topProductIds"]) for result in answer["results"]) == 1
    for wrong in ("0", "-1", "51", "many", "1e9"):
        refused = await client.get(PATH, params={"topN": wrong})
        assert (refused.status_code, refused.json()["code"]) == (400, "VALIDATION_FAILED"), wrong
        assert "topN" in refused.text
