"""Another system on the same Kafka: its bare events reserve our stock, facts about its orders trouble nobody."""

from __future__ import annotations

from uuid import uuid4

from dovecote.sql import Sql
from dovecote.testing import eventually
from tests.flows.kcat import Kcat, bare_order, event, full_order
from tests.flows.market import Market, new_order_id, new_sku, new_user, ordered

STATES = Sql("SELECT state, count(*) AS orders FROM order_hold WHERE order_id = ANY($1::text[]) GROUP BY state")
SAID = Sql("SELECT event_type FROM outbox_event_record WHERE aggregate_id = $1 ORDER BY id")
FOREIGN_FACTS = Sql("SELECT event_type, producer FROM foreign_fact WHERE order_id = $1 ORDER BY event_type")
WAITING_NEWS = Sql("SELECT event_type FROM waiting_news WHERE order_id = $1")
HOLD = Sql("SELECT state, paid FROM order_hold WHERE order_id = $1")


async def states(market: Market, *order_ids: str) -> dict[str, int]:
    """How inventory stands to orders, counted."""
    rows = await market.database("inventory").fetch(STATES, list(order_ids))
    return {row["state"]: row["orders"] for row in rows}


async def test_ten_bare_orders_for_five_units(market: Market, foreigner: Kcat) -> None:
    """Ten orders of a foreign producer for one unit each of five: five are held, five refused, nothing is left."""
    sku, order_ids = new_sku(), [new_order_id() for _ in range(10)]
    await market.shelve(sku, 5)
    await foreigner.send(
        market.topic("order.created.v1"),
        *((order_id, event("order.created.v1", bare_order(order_id, {sku: 1}))) for order_id in order_ids),
    )

    async def judged() -> bool:
        return await states(market, *order_ids) == {"HELD": 5, "REFUSED": 5}

    await eventually(judged, what="five are held and five refused")
    assert await market.stock(sku) == (0, 5)
    for order_id in order_ids:
        assert len(await market.database("inventory").fetch(SAID, order_id)) == 1


async def test_one_event_twice_has_one_effect(market: Market, foreigner: Kcat) -> None:
    """The same event sent twice, in one batch and again later, holds stock once and is answered once."""
    sku, order_id, later_id = new_sku(), new_order_id(), new_order_id()
    await market.shelve(sku, 5)
    topic = market.topic("order.created.v1")
    once = (order_id, event("order.created.v1", bare_order(order_id, {sku: 2})))
    await foreigner.send(topic, once, once)

    async def held(*orders: str) -> bool:
        return await states(market, *orders) == {"HELD": len(orders)}

    await eventually(lambda: held(order_id), what="the order is held")
    # The last message stands behind the repeat on the same partition: once it is handled, so is the repeat.
    await foreigner.send(topic, once, (order_id, event("order.created.v1", bare_order(later_id, {sku: 1}))))
    await eventually(lambda: held(order_id, later_id), what="what came after the repeat is held")
    assert await market.stock(sku) == (2, 3)
    said = await market.database("inventory").fetch(SAID, order_id)
    assert [row["event_type"] for row in said] == ["inventory.reserved.v1"]


async def test_facts_about_orders_of_others_are_kept(market: Market, foreigner: Kcat) -> None:
    """payment.authorized for an order nobody here has placed is kept by all who hear it and a dead letter nowhere."""
    order_id = new_order_id()
    fact = {
        "orderId": order_id,
        "paymentId": f"pay_{uuid4()}",
        "providerPaymentId": "prov_1",
        "status": "AUTHORIZED",
        "occurredAt": "2026-02-03T04:05:06.789123456Z",
        "reason": None,
    }
    value = event("payment.authorized.v1", fact, producer="foreign-payment-service")
    await foreigner.send(market.topic("payment.authorized.v1"), (order_id, value))
    remembered = {
        "order": (FOREIGN_FACTS, {"event_type": "payment.authorized.v1", "producer": "foreign-payment-service"}),
        "inventory": (HOLD, {"state": "AWAITED", "paid": True}),
        "notification": (WAITING_NEWS, {"event_type": "payment.authorized.v1"}),
    }
    for service, (question, expected) in remembered.items():

        async def kept(service: str = service, question: Sql = question) -> list[dict[str, object]]:
            return [dict(row) for row in await market.database(service).fetch(question, order_id)]

        assert await eventually(kept, what=f"{service} keeps the fact") == [expected]
    await market.until_rest()
    assert await market.letters(order_id) == {}


async def test_foreign_intent_waits_for_its_order(market: Market, foreigner: Kcat) -> None:
    """A client's intent for an unknown order is charged nothing until the order comes, then the order's own amount."""
    sku, order_id, user_id = new_sku(), new_order_id(), new_user()
    await market.shelve(sku, 5)
    body = {"orderId": order_id, "userId": user_id, "amount": 99.99, "currency": "EUR", "idempotencyKey": order_id}
    first = await market.ask("payment", "POST", "/api/payments/intents", json=body)
    assert (first["status"], first["settlement"]) == ("PENDING", "NONE")
    assert market.money(order_id) == []
    order = event("order.created.v1", full_order(order_id, {sku: 2}, user_id=user_id))
    await foreigner.send(market.topic("order.created.v1"), (order_id, order))

    async def authorized() -> bool:
        return bool((await market.payment(order_id)).get("status") == "AUTHORIZED")

    await eventually(authorized, what="the order's payment is authorized")
    assert await market.ask("payment", "POST", "/api/payments/intents", json=body) == first, "word for word"
    shown = await market.ask("payment", "GET", f"/api/payments/{first['paymentId']}")
    assert (shown["paymentId"], shown["amount"]) == (first["paymentId"], 5.0)
    assert (ordered(market.money(order_id)), market.net(order_id)) == (["authorize"], 500)

    async def recorded() -> list[str]:
        return [row["event_type"] for row in await market.database("order").fetch(FOREIGN_FACTS, order_id)]

    async def both() -> bool:
        return await recorded() == ["inventory.reserved.v1", "payment.authorized.v1"]

    await eventually(both, what="our order service records both answers about an order it did not place")
    await market.until_rest()
    assert await market.letters(order_id) == {}
