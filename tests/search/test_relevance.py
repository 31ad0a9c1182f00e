"""The rule that judges an answer, and the figures that come of it; no engine is needed for either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import pytest

from ecom.search import relevance
from ecom.search.judge import Judged, load, read
from ecom.search.relevance import Hit, Outcome, Score, evaluate, measure

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Product:
    """A product of an answer."""

    name: str
    category: str = "DAIRY"
    brand: str = "Private"
    description: str = "GROCERY, manufacturer 69"
    sizes: Sequence[str] = ()
    product_id: str = "1"


def judged(relevant: object, *, kind: str = "partial") -> Judged:
    """One judged query with a rule."""
    return next(iter(read([{"query": "q", "kind": kind, "relevant": relevant}])))


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"name": "YOGURT"}, True),
        ({"name": "yogurt packs"}, True),
        ({"name": "YOGUR"}, False),  # whole words only
        ({"name": "YOGURT MILK"}, False),  # all of them
        ({"name": "MILK|YOGURT"}, True),
        ({"name": "DAIRY"}, False),  # the field that was named
        ({"name|category": "DAIRY YOGURT"}, True),
        ({"name": "= YOGURT NOT MULTI-PACKS 6 OZ"}, True),
        ({"name": "= YOGURT 6 OZ"}, False),
        ({"name": "= NOT YOGURT MULTI-PACKS 6 OZ"}, False),  # in this order
        ({"sizes": "6 OZ"}, True),
        ({"sizes": "= 6.0 OZ"}, True),
        ({"sizes": "= 16 OZ"}, False),
        ({"brand": "PRIVATE", "description": "GROCERY"}, True),
        ({"brand": "NATIONAL", "name": "YOGURT"}, False),  # every line holds
    ],
)
def test_a_rule_looks_at_whole_words_of_the_fields_it_names(rule: object, fits: bool) -> None:  # noqa: FBT001
    """The syntax written at the head of the judged sets, line by line."""
    product = Product("YOGURT NOT MULTI-PACKS 6 OZ", sizes=["6 OZ"])
    assert judged(rule).relevant(product) is fits


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"kind": "guess", "relevant": "nothing"}, "is no kind"),
        ({"kind": "exact", "relevant": {"colour": "RED"}}, "no field 'colour'"),
        ({"kind": "exact", "relevant": {"name": "&"}}, "is no word"),
        ({"kind": "exact", "relevant": {"name": "= &"}}, "is no word"),
        ({"kind": "exact", "relevant": {"name|category": "= RED"}}, "is no word"),  # exactly which of the two?
        ({"kind": "exact", "relevant": {}}, "an empty rule"),
    ],
)
def test_a_rule_that_cannot_be_understood_is_refused(entry: dict[str, object], sentence: str) -> None:
    """A slip in a judged set must not become a rule that fits nothing or everything."""
    with pytest.raises(ValueError, match=sentence):
        list(read([{"query": "q", **entry}]))


def test_the_rank_is_that_of_the_first_relevant_product() -> None:
    """Counted from 1; none where no product of the answer is relevant."""
    yogurt, milk = Product("YOGURT"), Product("MILK")
    rule = judged({"name": "YOGURT"})
    assert rule.rank([yogurt, milk]) == 1
    assert rule.rank([milk, milk, yogurt, yogurt]) == 3
    assert rule.rank([milk]) is None
    assert rule.rank([]) is None


def test_nonsense_is_answered_rightly_with_nothing() -> None:
    """Any product at all is a miss, and none is relevant."""
    rule = judged("nothing", kind="nonsense")
    assert rule.rank([]) == 1
    assert rule.rank([Product("YOGURT")]) is None
    assert not rule.relevant(Product("YOGURT"))


def test_success_and_reciprocal_rank_are_means_over_the_queries() -> None:
    """Ranks 1, 2, 11 and none: one success in four, and only what stands among ten counts in MRR@10."""
    rule = judged({"name": "YOGURT"})
    ranks: Sequence[int | None] = (1, 2, 11, None)
    score = Score("tuning", tuple(Outcome(rule, (), (), rank, None) for rank in ranks))
    assert score.success_at_1 == 0.25
    assert score.mrr_at_10 == (1 + 1 / 2) / 4
    assert [miss.rank for miss in score.misses] == [2, 11, None]


async def test_every_query_of_a_set_is_asked_as_it_is_written() -> None:
    """An engine that always answers nothing is right about nonsense alone."""
    asked: list[str] = []

    async def ask(query: str, count: int) -> Sequence[Hit]:
        assert count == relevance.DEPTH
        asked.append(query)
        return []

    score = await measure(ask, "tuning")
    assert asked == [each.query for each in load("tuning")]
    assert {each.judged.kind for each in score.outcomes if each.succeeded} == {"nonsense"}
    assert {each.judged.kind for each in score.misses} == {each.kind for each in load("tuning")} - {"nonsense"}


async def test_the_answer_is_that_of_the_wire_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fields and what they say, for a query answered first, one answered second, one missed and one of nonsense."""
    sets = {
        "tuning": [judged({"name": "YOGURT"}), judged({"name": "MILK"}), judged({"name": "HONEY"})],
        "held_out": [judged("nothing", kind="nonsense")],
    }
    monkeypatch.setattr(relevance, "load", lambda name: tuple(sets[name]))
    answers = iter([True, True, True, False])

    async def ask(query: str, count: int) -> Sequence[Hit]:
        return [Product("YOGURT", product_id="7"), Product("MILK", product_id="8")] if next(answers) else []

    found = await evaluate(ask, top_n=1, at=AT, target=50.0)
    answer = msgspec.to_builtins(found)
    assert answer["sets"] == {
        "tuning": {"datasetSize": 3, "successAt1": 0.3333, "mrrAt10": 0.5},
        "held_out": {"datasetSize": 1, "successAt1": 1.0, "mrrAt10": 1.0},
    }
    assert {key: answer[key] for key in answer if key not in {"sets", "results"}} == {
        "datasetSize": 4,
        "passed": 2,
        "failed": 2,
        "passRate": 50.0,
        "targetPassRate": 50.0,
        "meetsTarget": True,
        "evaluatedAt": "2026-01-02T03:04:05Z",
    }
    first, second, third, nonsense = answer["results"]
    assert first == {
        "query": "q",
        "expectedTopProductId": "7",
        "actualTopProductId": "7",
        "topMatch": True,
        "expectedPresentInTopN": True,
        "topProductIds": ("7",),
        "kind": "partial",
        "set": "tuning",
    }
    assert (second["expectedTopProductId"], second["topMatch"], second["expectedPresentInTopN"]) == ("8", False, False)
    assert (third["expectedTopProductId"], third["topMatch"], third["expectedPresentInTopN"]) == (None, False, False)
    assert (nonsense["actualTopProductId"], nonsense["topMatch"], nonsense["topProductIds"]) == (None, True, ())


async def test_a_query_passes_where_a_relevant_product_is_among_the_first_n(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answer fails with topN=1 and passes with topN=2; the target is met at its value, not above it."""
    monkeypatch.setattr(relevance, "load", lambda name: (judged({"name": "MILK"}),) if name == "tuning" else ())

    async def ask(query: str, count: int) -> Sequence[Hit]:
        return [Product("YOGURT"), Product("MILK")][:count]

    strict = await evaluate(ask, top_n=1, at=AT, target=100.0)
    wide = await evaluate(ask, top_n=2, at=AT, target=100.0)
    assert (strict.passed, strict.pass_rate, strict.meets_target) == (0, 0.0, False)
    assert (wide.passed, wide.pass_rate, wide.meets_target) == (1, 100.0, True)
