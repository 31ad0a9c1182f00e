"""Bugs against stock, its holds, and the price list (rows G1, G2, G5, G6, G16, G18, G25)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dovecote.schedule import JobContext
from dovecote.sql import Sql
from ecom.inventory import domain, handlers, jobs
from ecom.inventory.domain import Hold, Turn, Verdict
from ecom.inventory.holds import HOLDS, Fact, Outcome, Phase
from ecom.order import price_store
from tests.simulation.bugs.switch import Bug, entries, wrapped


def _forgetful(turn: Callable[..., Turn]) -> Callable[..., Turn]:
    def without_release(holds: Any, facts: Any) -> Turn:
        """A hold is RELEASED, and its reservations stay."""
        return replace(turn(holds, facts), release=[])

    return without_release


def _in_part(judge: Callable[..., Verdict]) -> Callable[..., Verdict]:
    def what_is_there(hold: Hold, demand: Mapping[str, int], left: Mapping[str, int]) -> Verdict:
        """Lines that are short are left out, and the others held."""
        there = {sku: wanted for sku, wanted in demand.items() if wanted <= left.get(sku, 0)}
        return judge(hold, there or demand, left)

    return what_is_there


def _in_haste(expire: Any) -> Any:
    async def although_there_is_a_backlog(context: JobContext, terms: Any, batch_size: int) -> None:
        """The question is asked, and its answer ignored."""

        async def none() -> int:
            await context.lag()
            return 0

        await expire(replace(context, lag=none), terms, batch_size)

    return although_there_is_a_backlog


def _last_said(sql: Sql) -> Sql:
    """Whatever comes last is kept."""
    return Sql(sql.text[: sql.text.index("WHERE CASE")])


STOCK_BUGS = (
    Bug("G1", "a payment that comes before its order is forgotten", (
        entries(HOLDS, {(Phase.AWAITED, Fact.AUTHORIZED): Outcome.KNOWN}),
    )),
    Bug("G2", "an end that comes before its order leaves no tombstone", (
        entries(HOLDS, {(Phase.AWAITED, Fact.ENDED): Outcome.KNOWN}),
    )),
    Bug("G5", "what an unpaid order held is not released", (
        wrapped(domain, "turn", _forgetful),
        wrapped(handlers, "turn", _forgetful),
    )),
    Bug("G6", "an order that ends keeps what is RESERVED", (
        entries(HOLDS, {(Phase.HELD, Fact.ENDED): Outcome.KNOWN}),
    )),
    Bug("G16", "an order gets the lines that are there", (wrapped(domain, "_judge", _in_part),)),
    Bug("G18", "an older word about a product replaces a later one", (
        wrapped(price_store, "KEEP_PRICES", _last_said),
    )),
    Bug("G25", "a hold expires although its payment waits to be heard", (wrapped(jobs, "expire_orders", _in_haste),)),
)  # fmt: skip
