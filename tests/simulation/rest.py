"""At rest: operators mend what is stuck, and then the books are compared by the audit's own questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from dovecote.clock import Clock
from dovecote.database import Database
from dovecote.service import Service
from ecom.audit import sessions, topiclog
from ecom.audit.evidence import Given, gather
from ecom.audit.invariants import INVARIANTS
from ecom.audit.run import ask
from ecom.audit.vitals import Vitals
from tests.simulation import watch
from tests.simulation.curse import CURSES
from tests.simulation.server import Server

if TYPE_CHECKING:
    from tests.simulation.shop import Shop

RANKS = {"PAYMENT_PENDING": 0, "CONFIRMED": 1, "FAILED": 2, "TIMED_OUT": 2, "CANCELLED": 2, "GONE": -1}
# A leader whose clock was set off has beaten long ago, by the clock that is right now: no sign of anything here.
QUESTIONS = [one for one in INVARIANTS if one.check is not sessions.orphan_locks]
ORDERS = "SELECT id, status FROM order_service.orders ORDER BY id"
CAPTURED_AMISS = """
SELECT o.id, p.stage FROM order_service.orders AS o LEFT JOIN payment_service.payment AS p ON p.order_id = o.id
 WHERE o.status = 'CONFIRMED' AND p.stage IS DISTINCT FROM 'CAPTURED' ORDER BY 1
"""
PRICES = "SELECT product_id, version, price FROM order_service.price ORDER BY 1"


class _PlainPool:
    """The server's own sessions, taken without a turn: the audit is not part of the simulated world."""

    def __init__(self, server: Server, schema: str) -> None:
        self._server = server
        self._schema = schema

    async def acquire(self, *, timeout: float | None = None) -> Any:
        return await self._server.session(self._schema)

    async def release(self, session: Any) -> None:
        self._server.give_back(self._schema, session)

    async def close(self) -> None:
        pass


def mend(shop: Shop) -> bool:
    """What operators do at the end: replay FAILED events, redrive what a bug had set aside. False for nothing."""
    left = watch.left(shop)
    failed = [each.service for each in left if each.kind == "FAILED"]
    for service in failed:
        shop.spawn(shop.replay(service))
    cursed = [(each.service, each.id) for each in left if each.kind == "cursed" and each.id is not None]
    if cursed:
        CURSES.lift()  # a release without the bug, and only then once more
    for service, number in cursed:
        shop.spawn(shop.redrive(service, number))
    return bool(failed or cursed)


async def violations(shop: Shop) -> list[str]:
    """What is wrong at rest."""
    services = {shop.blueprints[short].name: _service(shop, short) for short in shop.blueprints}
    committed = {
        (group.name, *at): offset for group in shop.broker.groups.values() for at, offset in group.committed.items()
    }
    try:
        evidence = await gather(
            services,
            entries=shop.provider.entries,
            log=topiclog.collect(shop.broker.records()),
            vitals=[Vitals(committed=committed)],
            given=Given(
                dead_letters=_poison(shop), mailbox=frozenset(UUID(name[1:37]) for name, _ in shop.postman.mails)
            ),
        )
        answers = await ask(QUESTIONS, evidence)
    finally:
        for service in services.values():
            await service.database.close()
    found = [
        f"{one.name}: {one.what}: {row}" for one, rows in zip(QUESTIONS, answers, strict=True) for row in sorted(rows)
    ]
    found += [f"I5: {order} is CONFIRMED, its payment {stage}" for order, stage in shop.server.rows(CAPTURED_AMISS)]
    return found + watch.always(shop) + _journal(shop) + _prices(shop)


def _service(shop: Shop, short: str) -> Service:
    """The service as the audit knows it."""
    service = Service(shop.blueprints[short], database_url="", bootstrap="", contracts=shop.contracts)
    clock = Clock(shop.world.loop.time)
    clock.set(shop.world.now, asked=shop.world.loop.time())
    pool = _PlainPool(shop.server, service.schema)
    service._database = Database(pool, url="", settings={}, voice=service.voice, clock=clock)
    return service


def _poison(shop: Shop) -> frozenset[str]:
    """What must be a dead letter, in every group that hears its topic."""
    return frozenset(
        f"{node.service.group} {topic}/{partition}/{offset}"
        for node in shop.nodes
        for topic, partition, offset in shop.poison
        if topic in node.service.heard
    )


def _journal(shop: Shop) -> list[str]:
    """I20: an order that was acknowledged is there, and no key has two. I21: nobody saw an order go back."""
    orders = dict(shop.server.rows(ORDERS))
    found = [
        f"I20: {key} was answered {order}, which is not there"
        for key, order in shop.journal.placed.items()
        if order not in orders
    ]
    if len(orders) != len(shop.journal.asked):
        found.append(f"I20: {len(shop.journal.asked)} orders were placed, {len(orders)} are there")
    for order, statuses in shop.journal.seen.items():
        changes = list(dict.fromkeys(statuses))
        if [RANKS[status] for status in changes] != sorted({RANKS[status] for status in changes}):
            found.append(f"I21: {order} was seen {statuses}")
    return found


def _prices(shop: Shop) -> list[str]:
    """I19: the price list has the last word about each product."""
    known = {product: (version, amount) for product, version, amount in shop.server.rows(PRICES)}
    return [
        f"I19: {product} is {last}, the price list has {known.get(product)}"
        for product, last in sorted(shop.products.items())
        if known.get(product) != last
    ]
