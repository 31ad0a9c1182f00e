"""The price list: the last word about each product stands, in whatever order the words come."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from dovecote.database import Database
from dovecote.events import Event
from dovecote.sql import Sql
from dovecote.testing import Bench
from ecom.contracts import CONTRACTS
from ecom.order import price_store
from ecom.order.handlers import handlers
from ecom.order.prices import Price, ProductGone, ProductPriced
from ecom.order.service import NAME, build
from tests.order.stories import OrderShop, delivery, product

LIST = Sql("SELECT product_id, sku, price, currency, active, deleted, version FROM price ORDER BY product_id")
MOMENTS = Sql("SELECT updated_at FROM price ORDER BY product_id")
LETTERS = Sql("SELECT key, status FROM dead_letter ORDER BY id")
START = datetime(2026, 2, 3, tzinfo=UTC)

Said = tuple[Event, datetime]


async def hear(database: Database, said: Sequence[Said]) -> None:
    """One transaction with a batch of events of one type."""
    async with database.transaction("consumer") as tx:
        await handlers.routes[said[0][0].EVENT].handle(tx, [delivery(event, at) for event, at in said])


async def prices(database: Database) -> list[tuple[Any, ...]]:
    """The whole list."""
    return [tuple(row.values()) for row in await database.fetch(LIST)]


def history(*, versions: bool) -> list[Said]:
    """Five products through forty changes of price, state and currency, and deletions; each says when."""
    draw = random.Random(7)
    said: list[Said] = []
    for number in range(1, 41):
        product_id, version = f"p{draw.randrange(5)}", number if versions else None
        at = START + timedelta(seconds=number)
        if draw.random() < 0.25:
            said.append((ProductGone(product_id=product_id, version=version), at))
        else:
            currency, active = draw.choice([None, "EUR"]), draw.random() < 0.8
            said.append((product(product_id, f"{number}.50", version, currency=currency, active=active), at))
    return said


@pytest.mark.parametrize("versions", [True, False])
@pytest.mark.parametrize("seed", range(5))
async def test_shuffled_words_give_the_same_list(database: Database, seed: int, versions: bool) -> None:  # noqa: FBT001
    """Any order, any batches, repeats: by version where there is one, by time where there is none."""
    said = history(versions=versions)
    expected: dict[str, tuple[Any, ...]] = {}
    for event, _ in said:
        if isinstance(event, ProductPriced):
            state = (event.product_id, event.price, event.currency, event.active, False, event.version)
        else:
            assert isinstance(event, ProductGone)
            state = (event.product_id, None, None, False, True, event.version)
        expected[event.product_id] = (state[0], state[0], *state[1:])
    draw = random.Random(seed)
    left = [*said, *draw.sample(said, 10)]
    if versions:  # a version decides alone: what the clock of the product service said is of no account
        left = [(event, START + timedelta(seconds=draw.randrange(100))) for event, _ in left]
    draw.shuffle(left)
    while left:
        count, kind = draw.randrange(1, 9), left[0][0].EVENT
        batch = [one for one in left if kind == one[0].EVENT][:count]
        left = [one for one in left if not any(one is taken for taken in batch)]
        await hear(database, batch)
    assert await prices(database) == [expected[product_id] for product_id in sorted(expected)]


async def test_an_older_word_changes_nothing(database: Database, shop: OrderShop) -> None:
    """A late older version, a repeat of the same, an older moment without a version: not even the row is written."""
    later, earlier = START + timedelta(seconds=9), START
    await hear(database, [(product("v", "2.00", 5), earlier), (product("t", "2.00"), later)])
    before = await prices(database), await database.fetch(MOMENTS)
    await hear(database, [(product("v", "1.00", 4), later), (product("t", "1.00"), earlier)])
    await hear(database, [(product("v", "1.00", 5), later), (product("t", "1.00", 1), earlier)])
    await hear(database, [(ProductGone(product_id="v", version=5), later), (ProductGone(product_id="t"), earlier)])
    assert (await prices(database), await database.fetch(MOMENTS)) == before
    await hear(database, [(product("v", "3.00", 6), earlier), (product("t", "3.00", 1), later)])
    assert [row[2] for row in await prices(database)] == [Decimal("3.00")] * 2


async def test_a_deletion_leaves_a_tombstone(database: Database, shop: OrderShop) -> None:
    """Also of a product never seen; what was said before it is ignored, what is said after it makes a product."""
    await shop.sell(product("seen", "2.00", 1, currency="EUR"), ProductGone(product_id="seen", version=2))
    await shop.sell(ProductGone(product_id="never", version=2), product("never", "2.00", 1))
    assert await prices(database) == [(name, name, None, None, False, True, 2) for name in ("never", "seen")]
    await shop.sell(product("seen", "4.00", 3))
    assert (await prices(database))[1] == ("seen", "seen", Decimal("4.00"), None, True, False, 3)


async def test_a_batch_is_one_statement_and_the_last_word_in_it_stands(database: Database) -> None:
    """Five hundred words about a hundred products, not in order, in one batch."""
    said = [(product(f"p{number % 100:03}", f"{number}", number // 100 + 1), START) for number in range(500)]
    random.Random(1).shuffle(said)
    await hear(database, said)
    assert [(row[2], row[6]) for row in await prices(database)] == [(Decimal(400 + n), 5) for n in range(100)]


async def test_of_two_words_with_one_version_the_first_stands(database: Database) -> None:
    """In one batch as in two: a version is said once, and what repeats it is not news."""
    for product_id, batches in (("one", [2]), ("two", [1, 1])):
        said = [(product(product_id, "1", 1), START), (product(product_id, "2", 1), START + timedelta(seconds=1))]
        for count in batches:
            await hear(database, said[:count])
            said = said[count:]
    assert [row[2] for row in await prices(database)] == [Decimal(1), Decimal(1)]


async def test_the_list_is_read_as_it_was_kept(database: Database, shop: OrderShop) -> None:
    """Digits, sku, currency in capitals; a product is for sale unless it says otherwise; unknown ids are left out."""
    await shop.sell(product("a", "9.90", 1, sku="S", currency="eur"), product("b", "100", active=False))
    found = await price_store.read(database, {"a", "b", "c"})
    assert found.keys() == {"a", "b"}
    assert found["a"] == Price("a", "S", Decimal("9.90"), "EUR", active=True, deleted=False)
    assert str(found["a"].amount) == "9.90"
    assert (found["b"].sku, str(found["b"].amount), found["b"].active) == ("b", "100", False)


BROKEN: list[dict[str, Any]] = [
    {"price": "NaN"},
    {"price": "Infinity"},
    {"price": "-0.01"},
    {"price": "1e400"},
    {"price": "1e-400"},
    {"productId": ""},
    {"productId": "p" * 5000},
    {"sku": ""},
    {"version": -1},
    {"version": 2**63},
    {"currency": "EURO"},
    {"currency": "€€€"},
    {"currency": "EUR\n"},
]
UNKEPT: list[dict[str, Any]] = [
    {"price": "1" + "0" * 400},
    {"price": 1e300},
    {"price": "0." + "0" * 400 + "1"},
    {"productId": "nul\0"},
    {"sku": "nul\0"},
]


async def test_words_that_cannot_be_kept_hurt_nobody(database: Database) -> None:
    """What breaks its contract is DEAD, what only this service cannot keep is parked; their neighbours are kept."""
    bench = Bench(build({}).blueprint, database)
    good = [{"productId": "text", "name": "n", "price": "1.50"}, {"productId": "number", "price": 1e2, "colors": 7}]
    payloads = [good[0], *({"productId": "bad", "price": "1", **wrong} for wrong in BROKEN + UNKEPT), good[1]]
    for kind, many in ((ProductPriced.EVENT, payloads), (ProductGone.EVENT, [{"productId": "nul\0"}])):
        messages = [
            bench.raw(kind, msgspec.json.encode({"eventId": str(uuid4()), "eventType": kind, "payload": payload}))
            for payload in many
        ]
        await bench.deliver(*messages)
    assert [(row[0], row[2]) for row in await prices(database)] == [("number", Decimal(100)), ("text", Decimal("1.50"))]
    statuses = [row["status"] for row in await database.fetch(LETTERS)]
    assert (statuses.count("DEAD"), statuses.count("PARKED")) == (len(BROKEN), len(UNKEPT) + 1)


def test_the_registry_names_order_as_a_reader() -> None:
    """Both product events list order-service, and its settings list their topics."""
    registry = msgspec.json.decode((CONTRACTS / "event-contracts.json").read_bytes())["events"]
    topics = build({}).blueprint.settings.app.kafka.topics
    for event in (ProductPriced, ProductGone):
        assert NAME in registry[event.EVENT]["consumers"]
        assert event.EVENT in topics.values()
