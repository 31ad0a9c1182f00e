"""Relevance, measured: the judged queries asked of an engine, and how often the first hit is what was meant.

The rule is written at the head of judged/held_out.yml and carried out by `ecom.search.judge`. success@1 is the share of
queries whose first hit is relevant; MRR@10 is the mean of one over the rank of the first relevant hit among ten. A
query that wants nothing succeeds with an empty answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeAlias

import msgspec

from ecom.search.judge import SETS, Judgeable, Judged, load

DEPTH: Final = 10  # of MRR@10
TARGET_PASS_RATE: Final = 85.0
TOP_MAX: Final = 50


class Hit(Judgeable, Protocol):
    """A product an engine answered with."""

    @property
    def product_id(self) -> str: ...


Ask: TypeAlias = Callable[[str, int], Awaitable[Sequence[Hit]]]
"""Ask an engine a query as a shopper would, for its first so many products."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an engine answered to one judged query."""

    judged: Judged
    ids: tuple[str, ...]
    names: tuple[str, ...]
    rank: int | None  # of the first relevant hit among those asked for
    expected: str | None  # that hit's id

    @property
    def succeeded(self) -> bool:
        return self.rank == 1


@dataclass(frozen=True, slots=True)
class Score:
    """One set of judged queries, asked and counted."""

    name: str
    outcomes: tuple[Outcome, ...]

    @property
    def success_at_1(self) -> float:
        return _mean([1.0 if outcome.succeeded else 0.0 for outcome in self.outcomes])

    @property
    def mrr_at_10(self) -> float:
        return _mean([1 / each.rank if each.rank and each.rank <= DEPTH else 0.0 for each in self.outcomes])

    @property
    def misses(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if not outcome.succeeded)


class Result(msgspec.Struct, frozen=True, rename="camel"):
    """One query of an evaluation, as on the wire. The rule names no single product: the one expected is the first of
    the answer that satisfies it, and null where none does.
    """

    query: str
    expected_top_product_id: str | None
    actual_top_product_id: str | None
    top_match: bool
    expected_present_in_top_n: bool
    top_product_ids: tuple[str, ...]
    kind: str
    set: str


class SetScore(msgspec.Struct, frozen=True, rename="camel"):
    """One set's figures."""

    dataset_size: int
    success_at_1: float
    mrr_at_10: float


class Evaluation(msgspec.Struct, frozen=True, rename="camel"):
    """The wire contract's answer, with each set's figures added. A query passes when a relevant product is among the
    first topN (or, where it wants nothing, when the answer is empty); rates are per cent.
    """

    dataset_size: int
    passed: int
    failed: int
    pass_rate: float
    target_pass_rate: float
    meets_target: bool
    evaluated_at: datetime
    results: tuple[Result, ...]
    sets: dict[str, SetScore]


async def measure(ask: Ask, name: str, *, depth: int = DEPTH) -> Score:
    """Ask every query of a set, one after the other."""
    outcomes: list[Outcome] = []
    for judged in load(name):
        hits = await ask(judged.query, depth)
        rank = judged.rank(hits)
        outcomes.append(
            Outcome(
                judged,
                tuple(hit.product_id for hit in hits),
                tuple(hit.name for hit in hits),
                rank,
                hits[rank - 1].product_id if rank and hits else None,
            )
        )
    return Score(name, tuple(outcomes))


async def evaluate(
    ask: Ask, *, top_n: int, at: datetime, target: float = TARGET_PASS_RATE, sets: Sequence[str] = SETS
) -> Evaluation:
    """Ask both sets and answer as the wire contract says."""
    scores = [await measure(ask, name, depth=max(DEPTH, top_n)) for name in sets]
    return evaluation(scores, top_n=top_n, at=at, target=target)


def evaluation(scores: Sequence[Score], *, top_n: int, at: datetime, target: float) -> Evaluation:
    """The wire contract's answer to what was measured."""
    results = tuple(_result(score.name, outcome, top_n) for score in scores for outcome in score.outcomes)
    passed = sum(result.expected_present_in_top_n for result in results)
    rate = round(100 * passed / len(results), 2) if results else 0.0
    return Evaluation(
        len(results),
        passed,
        len(results) - passed,
        rate,
        target,
        rate >= target,
        at,
        results,
        {
            score.name: SetScore(len(score.outcomes), round(score.success_at_1, 4), round(score.mrr_at_10, 4))
            for score in scores
        },
    )


def _result(name: str, outcome: Outcome, top_n: int) -> Result:
    return Result(
        outcome.judged.query,
        outcome.expected,
        outcome.ids[0] if outcome.ids else None,
        outcome.succeeded,
        outcome.rank is not None and outcome.rank <= top_n,
        outcome.ids[:top_n],
        outcome.judged.kind,
        name,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
