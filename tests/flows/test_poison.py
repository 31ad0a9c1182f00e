"""Messages that nobody can read: each is a dead letter in every group that hears its topic, and its neighbours flow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import AsyncIterator, Collection, Mapping
from uuid import uuid4

import asyncpg
import pytest

from dovecote.deadletter import DeadLetter
from dovecote.testing import eventually
from tests.flows.kcat import Kcat, bare_order, event, full_order
from tests.flows.market import Market, new_order_id, new_sku, new_user, ordered

CREATED = "order.created.v1"
HEARERS = {"payment", "inventory", "notification"}


def poisons() -> Mapping[str, bytes | None]:
    """What may stand where an order.created is expected."""
    order = full_order("ord_poison", {"sku": 1})
    without_id = json.loads(event(CREATED, order))
    del without_id["eventId"]
    return {
        "not JSON": b"{this is no JSON",
        "not UTF-8": b'{"eventId": "\xff\xfe"}',
        "JSON, and no object": b"[1, 2, 3]",
        "null value": None,
        "no eventId": json.dumps(without_id).encode(),
        "null eventId": json.dumps({**without_id, "eventId": None}).encode(),
        "eventId that is no uuid": json.dumps({**without_id, "eventId": "order-1"}).encode(),
        "no payload": json.dumps({"eventId": str(uuid4()), "eventType": CREATED}).encode(),
        "orderId of the wrong type": event(CREATED, {**order, "orderId": 7}),
        "unknown type": event("order.dreamt.v1", order),
        "unknown version": event("order.created.v9", order),
        "schemaVersion of another version": event(CREATED, order, schemaVersion="v9"),
        "1.5 MB": event(CREATED, {**order, "note": "x" * 1_500_000}),
        "10,000 levels deep": event(CREATED, order)[:-1] + b', "x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    }


@pytest.mark.parametrize("what", poisons())
async def test_poison_is_set_aside_and_its_neighbours_flow(market: Market, foreigner: Kcat, what: str) -> None:
    """Between two good orders on its partition, a poison is one dead letter in each group; both orders are served."""
    sku, user_id, key, poison = new_sku(), new_user(), secrets.token_hex(8), poisons()[what]
    before, after = new_order_id(), new_order_id()
    await market.shelve(sku, 10)
    # One key, one partition: the poison lies between the two.
    await foreigner.send(
        market.topic(CREATED),
        (key, event(CREATED, full_order(before, {sku: 1}, user_id=user_id))),
        (key, poison),
        (key, event(CREATED, full_order(after, {sku: 1}, user_id=user_id))),
    )
    letters = await letters_of(market, key, HEARERS)
    for name in HEARERS:
        (letter,) = letters[name]
        assert (letter.status, letter.topic, letter.value) == ("DEAD", market.topic(CREATED), poison)
        assert letter.error
    await served(market, sku, user_id, before, after)


async def test_redrive_by_command_once_the_cause_is_mended(market: Market, foreigner: Kcat) -> None:
    """What a broken table kept inventory from doing is done by `ecom dlq redrive` when the table is mended."""
    sku, key = new_sku(), secrets.token_hex(8)
    before, hit = new_order_id(), new_order_id()
    await market.shelve(sku, 10)
    async with broken_table(market, sku, quantity=3):
        await foreigner.send(
            market.topic(CREATED),
            (key, event(CREATED, bare_order(before, {sku: 1}))),
            (key, event(CREATED, bare_order(hit, {sku: 3}))),
        )
        (letter,) = (await letters_of(market, key, {"inventory"}))["inventory"]
        assert letter.status == "RETRYING"
        assert "reservation_refuses" in letter.error
        assert await market.stock(sku) == (9, 1)
    said = await command(market, "dlq", "redrive", "inventory", str(letter.id), "--prefix", market.prefix)
    assert said.split() == [str(letter.id), "DONE"]
    assert await market.stock(sku) == (6, 4)
    listed = await command(market, "dlq", "list", "inventory", "--prefix", market.prefix)
    assert str(letter.id) not in [line.split(maxsplit=1)[0] for line in listed.splitlines()]
    assert (await market.letters(key)).keys() == HEARERS - {"inventory"}


async def test_redrive_of_what_was_parked(market: Market, foreigner: Kcat) -> None:
    """A confirmation that payment parks, for it has authorized nothing, takes the money once the order has come."""
    sku, order_id = new_sku(), new_order_id()
    await market.shelve(sku, 1)
    confirmed = {"orderId": order_id, "userId": 1, "confirmedAt": "2026-02-03T04:05:06.789Z"}
    await foreigner.send(market.topic("order.confirmed.v1"), (order_id, event("order.confirmed.v1", confirmed)))
    (letter,) = (await letters_of(market, order_id, {"payment"}))["payment"]
    assert letter.status == "PARKED"
    redrive = market.services["payment"].redrive
    assert await redrive.one(letter.id) == "PARKED"
    await foreigner.send(market.topic(CREATED), (order_id, event(CREATED, full_order(order_id, {sku: 1}))))

    async def shows(*operations: str) -> bool:
        return ordered(market.money(order_id)) == list(operations)

    async def authorized() -> bool:
        return bool((await market.payment(order_id)).get("status") == "AUTHORIZED")

    await eventually(authorized, what="the order's amount is held")
    assert await redrive.one(letter.id) == "DONE"
    await eventually(lambda: shows("authorize", "capture"), what="the order's amount is taken")


async def letters_of(market: Market, key: str, names: Collection[str]) -> Mapping[str, list[DeadLetter]]:
    """Wait until these services have dead letters of messages with this key."""

    async def there() -> Mapping[str, list[DeadLetter]] | None:
        found = await market.letters(key)
        return found if found.keys() >= set(names) else None

    found: Mapping[str, list[DeadLetter]] = await eventually(there, what=f"{key} is a dead letter of {names}")
    return found


async def served(market: Market, sku: str, user_id: int, *order_ids: str) -> None:
    """Wait until these orders of one unit each are held and paid, and their customer has been written to."""

    async def held() -> bool:
        available, reserved = await market.stock(sku)
        return (available, reserved) == (10 - len(order_ids), 0)

    async def mailed() -> bool:
        mails = await market.mails(user_id)
        return [mail["eventType"] for mail in mails].count(CREATED) == len(order_ids)

    await eventually(held, what="the neighbours' stock is held and paid for")
    await eventually(mailed, what="the neighbours are written about")
    for order_id in order_ids:
        assert (await market.payment(order_id))["status"] == "AUTHORIZED"


@contextlib.asynccontextmanager
async def broken_table(market: Market, sku: str, *, quantity: int) -> AsyncIterator[None]:
    """While the block lasts, inventory cannot store a reservation of this much of a SKU."""
    table = f'"{market.services["inventory"].schema}".reservation'
    owner = await asyncpg.connect(market.servers.database_url)
    try:
        await owner.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT reservation_refuses CHECK (sku <> '{sku}' OR quantity <> {quantity})"
        )
        yield
        await owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT reservation_refuses")
    finally:
        await owner.close()


async def command(market: Market, *argv: str) -> str:
    """What `ecom` says, run as an operator runs it beside the open shop."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "ecom.cli", *argv),
        env=market.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return said.decode()
