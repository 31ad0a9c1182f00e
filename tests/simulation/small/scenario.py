"""The small worlds: what is ordered, what befalls it, and who hears messages in every order.

Nobody hears what notification says. So its orders and the saga's need not be multiplied: in the worlds of the saga it
hears each message at once, and in those of the mails it hears them in every order after the saga has come to rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dovecote.schedule import JobContext
from ecom.inventory.jobs import expire_orders
from ecom.inventory.store import Terms
from ecom.order import saga
from ecom.provider.interface import Operation
from tests.simulation.mix import Mix, Wish
from tests.simulation.node import Node
from tests.simulation.people import Person
from tests.simulation.settings import TIMEOUT
from tests.simulation.shop import SHOP, Shop

SKU = "apple"
SAGA = frozenset({"order", "payment", "inventory"})
MAILS = frozenset({"notification"})
A_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens once, at any moment, in one service."""

    service: str
    passes: timedelta  # so much later is it, for this service at once and for the others at their next look
    act: Callable[[Node, Person], Any] | None = None

    def happen(self, shop: Shop) -> None:
        """Let the time pass, and let happen what it brings."""
        shop.world.jump += self.passes
        shop.world.farthest = max(shop.world.farthest, shop.world.jump)
        for node in shop.living(self.service):
            node.database.clock.set(shop.world.now, asked=shop.world.loop.time())
            for kind in Operation:
                node.database.wakeups.ring(kind.value)
            if self.act is not None:
                shop.spawn(self.act(node, Person(shop, "clock")))


@dataclass(frozen=True, slots=True)
class Scenario:
    """A small world. Services that are not ``chosen`` hear each message at once."""

    what: str
    orders: int = 1
    method: str = "card"
    stock: int = 10
    cancels: bool = False
    hasty: bool = False  # holds expire before orders time out
    moments: Mapping[str, Moment] = field(default_factory=dict)
    chosen: frozenset[str] = SAGA
    trouble: str = ""  # what befalls the provider's first answer

    def mix(self) -> Mix:
        """The run's mix: one process a service, and nothing goes wrong by chance."""
        wishes = tuple(
            Wish(100 + number, ((SKU, 1),), self.method, cancels=self.cancels, hesitates=0, claims=False)
            for number in range(self.orders)
        )
        return Mix(
            orders=wishes,
            tidies=False,
            hasty=self.hasty,
            stock={SKU: self.stock},
            calm_steps=0,
            steps=0,
            replicas=dict.fromkeys(SHOP, 1),
            haste=0.0,
            faults=0.0,
            actions={},
            lost_before=0.0,
            lost_after=0.0,
            kafka_fails=0.0,
            commits_lost=0.0,
            late_commits=0.0,
            provider_away=0.0,
            provider_silent=0.0,
            provider_late=0.0,
            provider_slow=0,
            mail_refuses=0.0,
        )


async def _time_out(node: Node, person: Person) -> None:
    await person.insist("order", "runs the timeouts", saga.time_out_overdue, tries=2)


async def _expire(node: Node, person: Person) -> None:
    terms = Terms(timedelta(seconds=12), timedelta(days=31))

    async def expire(database: Any) -> None:
        await expire_orders(JobContext(database, node.service.lag), terms, 100)

    await person.insist("inventory", "runs the expiry", expire, tries=2)


DEADLINE = {"order/deadline": Moment("order", TIMEOUT + A_MOMENT, _time_out)}
EXPIRY = {"inventory/expiry": Moment("inventory", timedelta(seconds=13), _expire)}
PATIENCE = {"payment/patience": Moment("payment", A_MOMENT)}

SCENARIOS: Mapping[str, Scenario] = {
    "sale": Scenario("An order is paid and held."),
    "declined": Scenario("The card is declined.", method="card-declined"),
    "out-of-stock": Scenario("There is nothing left to hold.", stock=0),
    "capture-declined": Scenario("The card is good, and the amount is not taken.", method="card-capture-declined"),
    "silent": Scenario("The provider does what it is asked, and its answer is lost.", trouble="answer_lost",
                       moments=PATIENCE),
    "late": Scenario("The provider does what it is asked after we have given up.", trouble="late", moments=PATIENCE),
    "cancelled": Scenario("The customer cancels, at any moment.", cancels=True),
    "cancelled-declined": Scenario("The customer cancels, and the card is declined.", cancels=True,
                                   method="card-declined"),
    "deadline": Scenario("The payment's deadline passes, at any moment.", moments=DEADLINE),
    "expiry": Scenario("The hold expires, at any moment.", hasty=True, moments=EXPIRY),
    "cancelled-deadline": Scenario("The customer cancels, the deadline passes.", cancels=True, moments=DEADLINE),
    "cancelled-capture-declined": Scenario("The customer cancels, and the amount is not taken.", cancels=True,
                                           method="card-capture-declined"),
    "last-unit": Scenario("Two orders contend for the last unit.", orders=2, stock=1),
    "sale-mails": Scenario("A sale's mails.", chosen=MAILS),
    "declined-mails": Scenario("A declined card's mails.", method="card-declined", chosen=MAILS),
    "out-of-stock-mails": Scenario("The mails where nothing was left.", stock=0, chosen=MAILS),
    "refunded-mails": Scenario("The mails of a sale that is cancelled after it.", cancels=True, chosen=MAILS),
    "capture-declined-mails": Scenario("The mails where the amount is not taken.", method="card-capture-declined",
                                       chosen=MAILS),
}  # fmt: skip
