"""An order placed a moment after its product: it waits for the news on its way, and hurts nobody while it waits."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from dovecote.database import Database
from dovecote.errors import SettingsError, UnavailableError
from dovecote.sql import Sql
from ecom.order import patience
from ecom.order.domain import PaymentWasAuthorized
from ecom.order.service import build
from tests.order.pricing import AT_ONCE, LONG, body, customer, line, refused, soon, until_waiting, waiting
from tests.order.stories import OrderShop, product

COUNT_ORDERS = Sql("SELECT count(*) FROM orders")
IN_TRANSACTION = Sql("""
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND state <> 'active'
""")


@pytest.mark.parametrize("known", [False, True])
async def test_the_news_comes_a_moment_later(database: Database, shop: OrderShop, known: bool) -> None:  # noqa: FBT001
    """A new product, or a new price of a known one: the order is placed as soon as the event has come."""
    if known:
        await shop.sell(product("yak", "1.00", 1))
    async with customer(database, LONG) as client:
        order = asyncio.create_task(client.post("/api/orders", json=body(line("yak", 1.5))))
        await until_waiting(1)
        await shop.sell(product("yak", "1.50", 2))
        assert (await soon(order))[0].status_code == 201
    assert waiting() == 0


async def test_every_line_of_the_order_must_have_come(database: Database, shop: OrderShop) -> None:
    """News of one line is not enough; an order is placed whole."""
    async with customer(database, LONG) as client:
        order = asyncio.create_task(client.post("/api/orders", json=body(line("a", 1), line("b", 2))))
        await until_waiting(1)
        await shop.sell(product("a", "1", 1))
        other = await client.post("/api/orders", json=body(line("a", 1)))
        assert (other.status_code, order.done()) == (201, False)
        await shop.sell(product("b", "2", 1))
        assert (await soon(order))[0].status_code == 201


async def test_who_waits_delays_nobody(database: Database, shop: OrderShop) -> None:
    """While two hundred orders wait: no transaction is open, others are placed, read and confirmed as ever."""
    await shop.sell(product("milk", "1.90", 1))
    async with customer(database, LONG) as client:
        late = [asyncio.create_task(client.post("/api/orders", json=body(line(f"p{n}", 1)))) for n in range(200)]
        await until_waiting(200)
        answers = await asyncio.gather(*(client.post("/api/orders", json=body(line("milk", 1.9))) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {201}
        assert (await client.get(f"/api/orders/{answers[0].json()['id']}")).status_code == 200
        await shop.hear(PaymentWasAuthorized(order_id=answers[0].json()["id"]))
        assert await database.fetchval(IN_TRANSACTION) == 0
        assert waiting() == 200
        await shop.sell(*(product(f"p{n}", "1", 1) for n in range(200)))
        assert {answer.status_code for answer in await soon(*late)} == {201}
    assert await database.fetchval(COUNT_ORDERS) == 250


async def test_those_who_wait_share_their_looks(
    database: Database, shop: OrderShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait, the list is looked at once for all of them."""
    looked: list[int] = []
    read = patience.price_store.read

    async def counted(source: object, product_ids: set[str]) -> object:
        if source is database:
            looked.append(len(product_ids))
        return await read(database, product_ids)

    async with customer(database, LONG) as client:
        late = [asyncio.create_task(client.post("/api/orders", json=body(line(f"p{n}", 1)))) for n in range(100)]
        await until_waiting(100)
        monkeypatch.setattr(patience.price_store, "read", counted)
        await shop.sell(product("p0", "1", 1))
        assert (await soon(late[0]))[0].status_code == 201
        assert looked[0] == 100
        assert set(looked) <= {100, 99}  # 99 in a look after the first has been placed
        await shop.sell(*(product(f"p{n}", "1", 1) for n in range(1, 100)))
        await soon(*late)


async def test_a_wrong_order_is_refused_in_the_end(database: Database, shop: OrderShop) -> None:
    """After its patience, when nothing is on its way; what has been asked of Kafka is news of products."""
    asked: list[tuple[str, ...]] = []

    async def no_lag(event_types: tuple[str, ...]) -> int:
        asked.append(tuple(event_types))
        return 0

    database.lag = no_lag
    async with customer(database, {"APP_ORDER_PRICEPATIENCE": "PT0.2S"}) as client:
        answer = await client.post("/api/orders", json=body(line("yak", 1)))
    assert (answer.status_code, answer.json()["code"]) == (422, "PRODUCT_UNKNOWN")
    assert asked == [("product.upserted.v1", "product.deleted.v1")]


async def test_the_last_try_comes_after_the_last_question(database: Database, shop: OrderShop) -> None:
    """News that arrives while Kafka is asked counts: an order is refused only by a list that has heard everything."""

    async def arriving(_: object) -> int:
        await shop.sell(product("yak", "1", 1))
        return 0

    database.lag = arriving
    async with customer(database, AT_ONCE) as client:
        assert (await client.post("/api/orders", json=body(line("yak", 1)))).status_code == 201


@pytest.mark.parametrize("answer", [1, UnavailableError("The broker is away."), TimeoutError()])
async def test_news_on_its_way_is_no_refusal(database: Database, shop: OrderShop, answer: int | Exception) -> None:
    """Lag, or nobody who could say whether there is some: 503 with Retry-After; the order may be right."""

    async def lag(_: object) -> int:
        if isinstance(answer, Exception):
            raise answer
        return answer

    database.lag = lag
    await shop.sell(product("milk", "1.90", 1))
    before = refused("PRICES_BEHIND")
    async with customer(database, AT_ONCE) as client:
        refusal = await client.post("/api/orders", json=body(line("milk", 1)))
        assert (refusal.status_code, refusal.json()["code"]) == (503, "PRICES_BEHIND")
        assert int(refusal.headers["Retry-After"]) > 0
        assert (await client.post("/api/orders", json=body(line("milk", 1.9)))).status_code == 201
    assert refused("PRICES_BEHIND") == before + 1


async def test_a_question_without_an_answer_has_an_end(
    database: Database, shop: OrderShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that does not answer is asked once for all, and nobody waits for it longer than the limit."""
    monkeypatch.setattr(patience, "LAG_SECONDS", 0.2)
    asked, answer = [], asyncio.Event()

    async def silent(event_types: object) -> int:
        asked.append(event_types)
        await answer.wait()
        return 0

    database.lag = silent
    async with customer(database, AT_ONCE) as client:
        orders = [client.post("/api/orders", json=body(line("yak", 1))) for _ in range(30)]
        answers = await asyncio.gather(*orders)
        assert {(each.status_code, each.json()["code"]) for each in answers} == {(503, "PRICES_BEHIND")}
        assert len(asked) == 1
        answer.set()
        assert (await client.post("/api/orders", json=body(line("yak", 1)))).status_code == 422


@pytest.mark.parametrize(("limit", "most"), [("WAITING_MAX", 3), ("LINES_MAX", 7)])
async def test_those_who_wait_are_bounded(
    database: Database, shop: OrderShop, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    """Orders and lines beyond the limit are told to come again; right ones are placed all the same."""
    monkeypatch.setattr(patience, limit, most)
    await shop.sell(product("milk", "1.90", 1))
    async with customer(database, LONG) as client:
        for turn in ("first", "second"):  # who has waited leaves his place
            two = body(line(f"{turn}-a", 1), line(f"{turn}-b", 1))
            late = [asyncio.create_task(client.post("/api/orders", json=two)) for _ in range(3)]
            await until_waiting(3)
            busy = await client.post("/api/orders", json=two)
            assert (busy.status_code, busy.json()["code"], "Retry-After" in busy.headers) == (503, "PRICES_BUSY", True)
            assert (await client.post("/api/orders", json=body(line("milk", 1.9)))).status_code == 201
            await shop.sell(product(f"{turn}-a", "1", 1), product(f"{turn}-b", "1", 1))
            assert {answer.status_code for answer in await soon(*late)} == {201}


@pytest.mark.parametrize("wrong", ["PT-1S", "PT2M", "soon"])
def test_patience_has_its_bounds(wrong: str) -> None:
    """Less than nothing and more than a client waits are configuration errors."""
    with pytest.raises(SettingsError, match="price-patience|duration"):
        build({"APP_ORDER_PRICEPATIENCE": wrong})
    assert build(LONG).blueprint.settings.app.order.price_patience == timedelta(minutes=1)


@pytest.mark.parametrize("wrong", ["", "Client", "trust"])
def test_a_pricing_that_is_neither_is_refused(wrong: str) -> None:
    """The error names the key and what it may be; it is never taken for one of them."""
    with pytest.raises(SettingsError, match=r"app\.order\.pricing .* catalogue .* client"):
        build({"APP_ORDER_PRICING": wrong})
