"""The corpus: each verdict is proved by instances, and the checker gives it."""

from __future__ import annotations

from collections import Counter

import pytest

from dovecote.contracts.compatibility import Verdict
from tests.contracts.compatibility.corpus import Case, confirm, decided, judged, shown, sides, truth, undecided

DECIDED, UNDECIDED = decided(), undecided()
KEYWORDS = (
    *("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
    *("pattern", "format", "enum", "const", "items", "prefixItems", "contains", "minContains", "maxContains"),
    *("minItems", "maxItems", "uniqueItems", "properties", "required", "additionalProperties", "patternProperties"),
    *("propertyNames", "minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "$ref", "$defs"),
    *("oneOf", "anyOf", "allOf", "not", "if", "then", "else", "unevaluatedProperties"),
)


def name(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", DECIDED + UNDECIDED, ids=name)
def test_the_verdict_is_proved_by_instances(case: Case) -> None:
    """Each proving instance is valid and declared on one side and refused on the other; nothing else breaks anyone.

    A verdict that says compatible, or names one side only, holds against a universe of instances of its own.
    """
    assert len(list(shown(case.new, case.old, case.new_only))) == len(case.new_only)
    assert len(list(shown(case.old, case.new, case.old_only))) == len(case.old_only)
    if case in UNDECIDED:
        return
    proved = Verdict.of(readers=bool(case.new_only), writers=bool(case.old_only))
    assert proved == case.verdict
    assert sides(truth(case.old, case.new)) <= sides(case.verdict)


@pytest.mark.parametrize("case", DECIDED, ids=name)
def test_the_checker_gives_the_verdict_and_shows_it(case: Case, tally: Counter[str]) -> None:
    """Neither a miss nor a false alarm, and each break has a witness of its own that both validators confirm."""
    verdict, changes = judged(case)
    tally["hand-written edits"] += 1
    tally["misses"] += bool(sides(case.verdict) - sides(verdict))
    tally["false alarms"] += bool(sides(verdict) - sides(case.verdict))
    assert verdict == case.verdict
    for change in changes:
        confirm(change, case.old, case.new)
        assert bool(change.mend) is change.verdict.breaking


@pytest.mark.parametrize("case", UNDECIDED, ids=name)
def test_what_is_beyond_the_checker_is_called_breaking(case: Case, tally: Counter[str]) -> None:
    """An undecided change says that it cannot be shown compatible, and is never called so."""
    verdict, changes = judged(case)
    tally["answered with caution"] += 1
    assert verdict == case.verdict
    assert any("cannot be shown compatible" in change.what for change in changes)


def test_the_corpus_is_large_and_covers_every_keyword() -> None:
    """At least 150 edits, no two of one name, and each keyword stands in some of them."""
    assert len(DECIDED) >= 150
    assert len({case.name for case in DECIDED}) == len(DECIDED)
    text = " ".join(repr((case.old, case.new)) for case in DECIDED)
    assert [keyword for keyword in KEYWORDS if f"'{keyword}'" not in text] == []
