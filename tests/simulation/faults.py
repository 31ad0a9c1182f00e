"""The faults of a run: each takes what it needs from the shop and does one harm, or one nuisance."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec

from dovecote import ids
from dovecote.envelope import decode, encode
from dovecote.errors import EnvelopeError
from dovecote.events import Cause
from ecom.contracts.product import ProductUpserted
from ecom.order import saga
from ecom.payment.domain import Rules
from ecom.payment.webhook import UnknownPayment, Webhook, receive
from tests.simulation.curse import CURSES
from tests.simulation.mix import SKUS
from tests.simulation.node import Node
from tests.simulation.people import NoAnswer, Person
from tests.simulation.shop import SHOP, Shop

REPLICAS_MAX = 3
JUMP_MAX_SECONDS = 3600.0


class Supervisor:
    """Starts dead processes again, some time later."""

    name = "supervisor"
    sleeps = False
    is_dead = False


def crash(shop: Shop) -> None:
    """A process dies; if it was the last of its service, another is started some time later."""
    if (node := _any_node(shop)) is None:
        return
    node.crash()
    if not shop.of(node.short):
        shop.spawn(_start_later(shop, node.short))


async def _start_later(shop: Shop, short: str) -> None:
    await shop.world.turn(Supervisor(), f"starts {short}")
    if not shop.of(short):
        shop.start(short)


def start(shop: Shop) -> None:
    """One more replica of a service."""
    short = shop.world.chance.choice(SHOP)
    if len(shop.of(short)) < REPLICAS_MAX:
        shop.start(short)


def freeze(shop: Shop) -> None:
    """A process is stopped in its tracks, its sessions and locks included."""
    if (node := _any_node(shop)) is not None:
        node.sleeps = True


def thaw(shop: Shop) -> None:
    """A frozen process goes on as if nothing had been."""
    if frozen := [node for node in shop.nodes if node.sleeps and not node.is_dead]:
        shop.world.chance.choice(frozen).sleeps = False


def put_out(shop: Shop) -> None:
    """A group gives up on a member, most likely a frozen one."""
    members = [each for group in shop.broker.groups.values() for each in group.members]
    frozen = [each for each in members if each.actor.sleeps]
    if members:
        shop.broker.leave(shop.world.chance.choice(frozen or members))


def rebalance(shop: Shop) -> None:
    """A group deals its partitions anew."""
    if shop.broker.groups:
        shop.broker.rebalance(shop.world.chance.choice(sorted(shop.broker.groups)))


def kafka_stops(shop: Shop) -> None:
    shop.broker.sleeps = True


def kafka_goes_on(shop: Shop) -> None:
    shop.broker.sleeps = False


def clock_forward(shop: Shop) -> None:
    """The database's clock is set ahead."""
    shop.world.jump += timedelta(seconds=shop.world.chance.uniform(0, JUMP_MAX_SECONDS))
    shop.world.farthest = max(shop.world.farthest, shop.world.jump)


def clock_back(shop: Shop) -> None:
    """The database's clock is set back."""
    shop.world.jump -= timedelta(seconds=shop.world.chance.uniform(0, JUMP_MAX_SECONDS))


def poison(shop: Shop) -> None:
    """Somebody writes what no service can read, or an event's id with another content."""
    chance = shop.world.chance
    written = sorted(at for at in shop.broker.logs if at[0] != ProductUpserted.EVENT)
    if not written:
        return
    at = chance.choice(written)
    record = chance.choice(shop.broker.logs[at])
    kind = chance.choice(("no json", "wrong payload", "impostor"))
    value: bytes | None = b"\xff not an event"
    if kind != "no json":
        try:
            envelope: dict[str, Any] = msgspec.json.decode(record.value() or b"")
        except msgspec.DecodeError:
            return
        envelope["payload"] = {"orderId": 7, "nonsense": chance.getrandbits(32)}
        if kind == "wrong payload":
            envelope["eventId"] = f"00000000-0000-7000-8000-{chance.getrandbits(48):012x}"
        value = msgspec.json.encode(envelope)
    place = shop.broker.append(at[0], record.key(), value, [])
    shop.poison[(*place, len(shop.broker.logs[place]) - 1)] = kind


def repeat(shop: Shop) -> None:
    """A message is written once more, as a relay does that did not hear its answer."""
    chance = shop.world.chance
    written = sorted(shop.broker.logs)
    if written:
        at = chance.choice(written)
        offset = chance.randrange(len(shop.broker.logs[at]))
        record = shop.broker.logs[at][offset]
        if (*at, offset) not in shop.poison:  # a copy of poison is one more letter, or none beside its first
            shop.broker.append(at[0], record.key(), record.value(), record.headers())


def webhook(shop: Shop) -> None:
    """The provider tells what it has decided, once more, in any order."""
    if shop.provider.webhooks:
        told = shop.world.chance.choice(shop.provider.webhooks)
        body = Webhook(told.event_id, told.provider_id, told.event_type, None)
        shop.spawn(_tell(shop, body))


async def _tell(shop: Shop, body: Webhook) -> None:
    person = Person(shop, "webhook")
    try:
        await person.ask(
            "payment", f"says {body.event_type}", lambda database: receive(database, body, Cause("7" * 32), Rules())
        )
    except (NoAnswer, UnknownPayment):
        return  # the provider sends it again when it likes


def operator(shop: Shop) -> None:
    """Two operators do the same at once: replay a service's FAILED events, redrive a letter, run the timeouts."""
    short = shop.world.chance.choice(SHOP)
    match shop.world.chance.choice(("replay", "redrive", "timeouts")):
        case "replay":
            shop.spawn(shop.replay(short))
        case "redrive":
            shop.spawn(shop.redrive(short, shop.world.chance.randint(1, 3)))
        case _:
            shop.spawn(_run_timeouts(shop))


async def _run_timeouts(shop: Shop) -> None:
    try:
        await Person(shop, "operator").ask("order", "runs the timeouts", saga.time_out_overdue)
    except NoAnswer:
        return


def stock_count(shop: Shop) -> None:
    """Somebody counts a shelf and sets what is available."""
    counts = [(shop.world.chance.choice(SKUS), shop.world.chance.randint(0, 5))]
    shop.spawn(shop.stock_up(counts))


def forget_keys(shop: Shop) -> None:
    """The provider forgets its idempotency keys, as after a day."""
    shop.provider.forget_keys()


def notices_lost(shop: Shop) -> None:
    shop.sessions.loses_notices = not shop.sessions.loses_notices


def curse(shop: Shop) -> None:
    """A bad release cannot handle some event, a few times or until it is mended."""
    written = sorted(shop.broker.logs)
    if written:
        record = shop.world.chance.choice(shop.broker.logs[shop.world.chance.choice(written)])
        with contextlib.suppress(EnvelopeError):
            CURSES.left[decode(record.value()).event_id] = shop.world.chance.choice((1, 2, 3, 1000))


def product_news(shop: Shop) -> None:
    """The product service says a product's next two versions, the later one first."""
    chance = shop.world.chance
    product = chance.choice(("p-apple", "p-bread"))
    version, _ = shop.products.get(product, (0, None))
    for number in chance.sample((version + 1, version + 2), 2):
        price = Decimal(number) + Decimal("0.25")
        payload = msgspec.json.encode(ProductUpserted(product_id=product, name=product, price=price, version=number))
        event_id = ids.uuid7(shop.world.now)
        value = encode(event_id, ProductUpserted.EVENT, shop.world.now, "product-service", "8" * 32, payload)
        shop.broker.append(ProductUpserted.EVENT, product.encode(), value, [])
        if number == version + 2:
            shop.products[product] = number, price


FAULTS: Mapping[str, Callable[[Shop], None]] = {
    "crash": crash,
    "start": start,
    "freeze": freeze,
    "thaw": thaw,
    "put out": put_out,
    "rebalance": rebalance,
    "kafka stops": kafka_stops,
    "kafka goes on": kafka_goes_on,
    "clock forward": clock_forward,
    "clock back": clock_back,
    "poison": poison,
    "repeat": repeat,
    "webhook": webhook,
    "operator": operator,
    "stock count": stock_count,
    "forget keys": forget_keys,
    "notices lost": notices_lost,
    "curse": curse,
    "product news": product_news,
}


def _any_node(shop: Shop) -> Node | None:
    alive = [node for node in shop.nodes if not node.is_dead]
    return shop.world.chance.choice(alive) if alive else None
