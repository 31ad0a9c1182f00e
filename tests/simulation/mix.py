"""What goes wrong in a run, and how often: drawn from the seed, so that runs differ in kind."""

from __future__ import annotations

import random
from dataclasses import dataclass

SKUS = ("apple", "bread", "candle")


@dataclass(frozen=True, slots=True)
class Wish:
    """An order that a customer will place: whose, what, how it is paid, and whether it is cancelled."""

    user_id: int
    lines: tuple[tuple[str, int], ...]
    method: str
    cancels: bool
    hesitates: int  # turns before that
    claims: bool  # asks for the payment itself, as the original's customers do


@dataclass(frozen=True, slots=True)
class Mix:
    """One run's share of each trouble. Shares are chances a step, but where another unit is named."""

    orders: tuple[Wish, ...]
    tidies: bool  # the jobs run that only clean up and count
    hasty: bool  # holds expire before orders time out
    stock: dict[str, int]
    calm_steps: int  # before anything goes wrong
    steps: int  # with faults
    replicas: dict[str, int]
    haste: float  # how often time passes although somebody could go on
    faults: float  # how often a step is a fault
    actions: dict[str, float]  # weights of the faults
    lost_before: float  # a statement
    lost_after: float
    kafka_fails: float  # a write
    commits_lost: float  # a commit
    late_commits: float  # a commit of one who was put out
    provider_away: float  # a call
    provider_silent: float
    provider_late: float
    provider_slow: int  # turns that a call may take, also when all is well
    mail_refuses: float  # a mail


ACTIONS = (
    "crash", "start", "freeze", "thaw", "put out", "rebalance", "kafka stops", "kafka goes on", "clock forward",
    "clock back", "poison", "repeat", "webhook", "operator", "stock count", "forget keys", "notices lost", "curse",
    "product news",
)  # fmt: skip


SHARES = {
    "poison": 0.7,
    "curse": 0.15,
}  # how many runs have the fault, where not half of them; a curse takes long to lift


def draw(seed: int) -> Mix:
    """The mix of a seed: each trouble is off in most runs, so that those that are on are seen apart."""
    chance = random.Random(f"mix {seed}")

    def sometimes(most: float, share: float = 0.4) -> float:
        return chance.uniform(0, most) if chance.random() < share else 0.0

    orders = tuple(_wish(chance, number) for number in range(chance.randint(3, 6)))
    return Mix(
        orders=orders,
        tidies=chance.random() < 0.3,
        hasty=chance.random() < 0.3,
        stock={sku: chance.choice((1, 2, 4, 10)) for sku in SKUS},
        calm_steps=chance.choice((0, 100, 200, 300, 450, 600)),
        steps=chance.randint(60, 200),
        replicas={name: chance.choice((1, 1, 2)) for name in ("order", "payment", "inventory", "notification")},
        haste=chance.choice((0.0, 0.01, 0.05, 0.2)),
        faults=chance.choice((0.0, 0.03, 0.1, 0.2, 0.3)),
        actions={name: weight for name in ACTIONS if (weight := sometimes(1.0, SHARES.get(name, 0.5))) > 0},
        lost_before=sometimes(0.15, 0.5),
        lost_after=sometimes(0.1, 0.5),
        kafka_fails=sometimes(0.4, 0.5),
        commits_lost=sometimes(0.5),
        late_commits=sometimes(1.0, 0.7),
        provider_away=sometimes(0.5),
        provider_silent=sometimes(0.5),
        provider_late=sometimes(0.5),
        provider_slow=chance.choice((0, 0, 0, 20)),
        mail_refuses=sometimes(0.4),
    )


def _wish(chance: random.Random, number: int) -> Wish:
    skus = sorted(chance.sample(SKUS, chance.randint(1, len(SKUS))))
    return Wish(
        user_id=100 + number,
        lines=tuple((sku, chance.randint(1, 2)) for sku in skus),
        method=chance.choice(("card", "card", "card", "card", "card-declined", "card-capture-declined")),
        cancels=chance.random() < 0.5,
        hesitates=chance.choice((0, 5, 10, 20, 30, 40)),
        claims=chance.random() < 0.2,
    )
