"""The original's bytes on real Kafka, put there by kcat: the shop takes them to the right end, or says why not."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from dovecote.sql import Sql
from dovecote.testing import eventually
from tests.contracts.wire.files import THEIRS
from tests.flows.kcat import Kcat, event, full_order
from tests.flows.market import Market, new_order_id, new_sku
from tests.flows.test_poison import command

PAID = Sql("SELECT order_id, stage, amount_minor, currency FROM payment WHERE order_id = ANY($1::text[])")
HELD = Sql("SELECT order_id, state FROM order_hold WHERE order_id = ANY($1::text[])")
FACTS = Sql("SELECT event_id::text FROM foreign_fact WHERE event_id::text LIKE '11111111-aaaa-%'")
MAILED = Sql("SELECT event_id::text FROM notification WHERE event_id::text LIKE '11111111-aaaa-%'")
PRICES = Sql("SELECT product_id, price::text, deleted FROM price WHERE product_id LIKE '65b2f0c1a7d34e%'")
LETTERS = Sql("SELECT error FROM dead_letter WHERE position('11111111-' IN encode(value, 'escape')) > 0")

CHARGED = {
    "b3f1c7de-6a54-4a8e-9d3b-2f7c1e5a9048": ("AUTHORIZED", 149902, "INR"),
    "ord_7d0e1f5a-93c4-4f0b-8a6d-5e2b9c1f3a77": ("AUTHORIZED", 3980, "EUR"),
}


async def test_theirs_through_kcat(market: Market, foreigner: Kcat) -> None:
    """Every golden value as it is, without key and headers: stock, money, mail, prices and facts follow."""
    created = [json.loads(value.bytes)["payload"] for value in THEIRS if value.event_type == "order.created.v1"]
    for line in (line for order in created for line in order["items"]):
        await market.shelve(line["sku"], 10)
    for value in THEIRS:
        await foreigner.send(market.topic(value.event_type), ("", value.bytes))
    ids = [order["orderId"] for order in created]
    assert set(ids) == CHARGED.keys()

    async def paid() -> bool:
        rows = await market.database("payment").fetch(PAID, ids)
        return {row["order_id"]: tuple(row)[1:] for row in rows} == CHARGED

    async def held() -> bool:
        rows = await market.database("inventory").fetch(HELD, ids)
        # Authorized by our payment, both holds are for good.
        return {row["order_id"]: row["state"] for row in rows} == dict.fromkeys(ids, "CONFIRMED")

    await eventually(paid, what="both orders' amounts are held")
    await eventually(held, what="both orders' stock is held and paid")
    await market.until_rest()
    for service in market.services:
        assert [row["error"] for row in await market.database(service).fetch(LETTERS)] == [], service
    said = {kind: {event_id(value) for value in THEIRS if value.event_type == kind} for kind in kinds()}
    facts = {row["event_id"] for row in await market.database("order").fetch(FACTS)}
    answers = [kind for kind in said if kind.startswith(("payment.", "inventory."))]
    assert facts == {each for kind in answers for each in said[kind]}
    mailed = {row["event_id"] for row in await market.database("notification").fetch(MAILED)}
    assert mailed == said["order.created.v1"]
    prices = {row["product_id"]: tuple(row)[1:] for row in await market.database("order").fetch(PRICES)}
    assert prices == {
        "65b2f0c1a7d34e19": ("1499.0", False),
        "65b2f0c1a7d34e20": ("12.50", False),
        "65b2f0c1a7d34e21": ("25", False),
        "65b2f0c1a7d34e22": (None, True),
    }
    found = await market.ask("search", "GET", "/api/search/products", params={"q": "müsli"})
    assert [(hit["name"], hit["price"]) for hit in found["content"]] == [("Müsli 🍵 1/2 kg", 12.5)]


async def test_a_broken_bound_is_shown_with_its_pointer(market: Market, foreigner: Kcat) -> None:
    """The fourth line's quantity is 0: inventory and payment, which read it, name it; notification writes its mail."""
    skus, key = [new_sku() for _ in range(5)], secrets.token_hex(8)
    order: dict[str, Any] = full_order(new_order_id(), dict.fromkeys(skus, 1))
    order["items"][3]["quantity"] = 0
    await foreigner.send(market.topic("order.created.v1"), (key, event("order.created.v1", order)))

    async def there() -> Mapping[str, Any] | None:
        found = await market.letters(key)
        return found if found.keys() >= {"inventory", "payment"} else None

    found = await eventually(there, what="inventory and payment have a dead letter")
    await market.until_rest()
    assert (await market.letters(key)).keys() == {"inventory", "payment"}
    for service in ("inventory", "payment"):
        (letter,) = found[service]
        shown = await command(market, "dlq", "show", service, str(letter.id), "--prefix", market.prefix)
        (error,) = [line for line in shown.splitlines() if line.startswith("error ")]
        told = "The payload of order.created.v1 cannot be read at /items/3/quantity: Expected `int` >= 1"
        assert error.split(maxsplit=1)[1] == told
        assert letter.status == "DEAD"


def kinds() -> set[str]:
    """The events of which there are golden values."""
    return {value.event_type for value in THEIRS}


def event_id(value: Any) -> str:
    """Whose effect a row is."""
    return str(json.loads(value.bytes)["eventId"]).lower()
