"""One Idempotency-Key, one order: twins that run at once, in one process or two; crashes in between; repeats."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

import httpx
import pytest

from dovecote.database import Database
from ecom.order import saga
from ecom.order.domain import Order
from ecom.order.saga import KeyTaken, Placement
from tests.order.pricing import LONG, body, line, until_waiting
from tests.order.replicas import ORDERS, Replicas, assert_in_use, counted, insist, post, stuck, two
from tests.order.stories import OrderShop, new_order, product
from tests.twins import until_stuck


async def test_fifty_callers_with_one_key(replicas: Replicas, database: Database) -> None:
    """At two replicas at once: one order, each caller ends with the same 201, and is told nothing but 409 before."""
    told = await asyncio.gather(*(insist(replicas[number % 2], "k") for number in range(50)))
    assert len({answers[-1].content for answers in told}) == 1
    assert {answers[-1].status_code for answers in told} == {201}
    early = [answer for answers in told for answer in answers[:-1]]
    assert early, "nobody met anybody"
    for answer in early:
        assert_in_use(answer)
    assert await counted(database) == {"orders": 1, "events": 1, "keys": 1}


@pytest.mark.parametrize("seed", range(12))
async def test_storms_of_keys_and_bodies(replicas: Replicas, database: Database, seed: int) -> None:
    """Whoever posts what under which key, where and when: an order for each key, one body each, and never a 500."""
    dice = random.Random(seed)
    posts = [(dice.randrange(2), f"k{dice.randrange(5)}", dice.randrange(2) + 1) for _ in range(60)]
    answers: list[httpx.Response] = []
    while posts:
        wave, posts = posts[: (size := dice.randrange(1, 30))], posts[size:]
        calls = (post(replicas[replica], key, body(line("A", price))) for replica, key, price in wave)
        answers += await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} <= {201, 409, 422}
    by_key: dict[str, set[bytes]] = {}
    for answer in answers:
        if answer.status_code == 201:
            by_key.setdefault(answer.request.headers["Idempotency-Key"], set()).add(answer.content)
    asked = {answer.request.headers["Idempotency-Key"] for answer in answers}
    assert {key: len(contents) for key, contents in by_key.items()} == dict.fromkeys(asked, 1)
    assert await counted(database) == dict.fromkeys(("orders", "events", "keys"), len(asked))


async def test_a_twin_is_told_at_once(replicas: Replicas, database: Database) -> None:
    """While the first has its key but no answer, nobody waits for it, at its own process or at another."""
    async with stuck(database):
        first = asyncio.create_task(post(replicas[0], "k"))
        await until_stuck(database)
        for client in replicas:
            assert_in_use(await asyncio.wait_for(post(client, "k"), 5))
            assert_in_use(await asyncio.wait_for(post(client, "k", body(line("A", 2))), 5))
        assert not first.done()
    placed = await first
    assert placed.status_code == 201
    for client in replicas:
        assert (await post(client, "k")).content == placed.content
        assert (await post(client, "k", body(line("A", 2)))).status_code == 422


async def test_a_crash_leaves_the_key_free(replicas: Replicas, database: Database) -> None:
    """The first loses its connection between key and order: 503, nothing is left, and the same key places it."""
    for client in replicas:
        async with stuck(database) as saboteur:
            first = asyncio.create_task(post(client, "k"))
            pid = await until_stuck(database)
            assert await saboteur.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
            assert (await first).status_code == 503
            assert (await counted(database))["keys"] == 0
    placed = await post(replicas[1], "k")
    assert placed.status_code == 201
    assert (await post(replicas[0], "k")).content == placed.content
    assert (await counted(database))["orders"] == 1


async def test_a_client_that_hangs_up_may_come_again(replicas: Replicas, database: Database) -> None:
    """The first client leaves while its order is being placed: whoever sends it again gets that order."""
    async with stuck(database):
        first = asyncio.create_task(post(replicas[0], "k"))
        await until_stuck(database)
        first.cancel()
        await asyncio.wait([first])
        again = [asyncio.create_task(insist(client, "k")) for client in reversed(replicas)]
    told = await asyncio.gather(*again)
    assert told[0][-1].content == told[1][-1].content
    assert (await counted(database))["orders"] == 1


async def test_a_transaction_that_fails_leaves_the_key_free(shop: OrderShop) -> None:
    """What took a key and did not commit never was; meanwhile another transaction is told that it runs."""

    async def place() -> Sequence[object]:
        async with shop.database.transaction() as tx:
            return await saga.place_once(
                tx, [Placement(new_order(), "k", b"body")], payment_timeout=timedelta(minutes=1), by_catalogue=False
            )

    with pytest.raises(ZeroDivisionError):
        async with shop.database.transaction() as tx:
            placements = [Placement(new_order(), "k", b"body"), Placement(new_order(), "k", b"body")]
            mine, twin = await saga.place_once(tx, placements, payment_timeout=timedelta(minutes=1), by_catalogue=False)
            assert isinstance(mine, Order)
            assert [twin, *await place()] == [KeyTaken.BY_A_TWIN] * 2
            raise ZeroDivisionError
    (order,) = await place()
    assert isinstance(order, Order)
    assert order.id != mine.id
    assert (await counted(shop.database))["orders"] == 1


async def test_repeats_do_not_refuse_each_other(replicas: Replicas) -> None:
    """Once there is an answer everybody gets it at once, however many ask together."""
    placed = await post(replicas[0], "k")
    answers = await asyncio.gather(*(post(replicas[number % 2], "k") for number in range(50)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, placed.content)}


async def test_other_keys_are_not_concerned(replicas: Replicas, database: Database) -> None:
    """Fifty keys at once, and posts without one: each is an order of its own, nobody is refused."""
    keys = [f"k{number}" if number % 5 else None for number in range(50)]
    answers = await asyncio.gather(*(post(replicas[n % 2], key) for n, key in enumerate(keys)))
    assert {answer.status_code for answer in answers} == {201}
    assert (await counted(database))["orders"] == 50


async def test_the_answer_is_repeated_word_for_word(replicas: Replicas, shop: OrderShop) -> None:
    """The order as it was placed, whatever became of it since."""
    placed = await post(replicas[0], "k")
    assert (await replicas[0].post(f"{ORDERS}/{placed.json()['id']}/cancel")).status_code == 200
    again = await post(replicas[1], "k")
    assert (again.status_code, again.content) == (201, placed.content)
    assert again.json()["status"] == "PAYMENT_PENDING"


async def test_who_waits_for_a_price_runs(database: Database, shop: OrderShop) -> None:
    """It holds its key in its own process; a twin in another waits as it does, and both get the one order."""
    async with two(database, LONG) as (here, there):
        calls = [asyncio.create_task(post(client, "k")) for client in (here, there)]
        await until_waiting(2)
        for client in (here, there):
            assert_in_use(await post(client, "k"))
            assert_in_use(await post(client, "k", body(line("A", 2))))
        assert (await counted(database))["keys"] == 0
        await shop.sell(product("A", "1", 1))
        told = await asyncio.gather(*calls)
        answers = [each if each.status_code == 201 else (await insist(here, "k"))[-1] for each in told]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert (await counted(database))["orders"] == 1
