"""The judge of search results: a written rule over a product's own fields, blind to what any engine returned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import yaml

KINDS: Final = ("exact", "partial", "typo", "plural", "brand+type", "category", "size", "nonsense")
SETS: Final = ("tuning", "held_out")  # file names under judged/
FIELDS: Final = ("name", "category", "brand", "description", "sizes")
JUDGED: Final = Path(__file__).parent / "judged"
NOTHING: Final = "nothing"
_EXACTLY: Final = "="
_EITHER: Final = "|"
_WORD = re.compile(r"[A-Z]+|\d*\.?\d+")


class Judgeable(Protocol):
    """What the rule may look at. Sizes are one text here, as are the words of any other field."""

    @property
    def name(self) -> str: ...
    @property
    def category(self) -> str | None: ...
    @property
    def brand(self) -> str | None: ...
    @property
    def description(self) -> str | None: ...
    @property
    def sizes(self) -> Sequence[str] | None: ...


@dataclass(frozen=True, slots=True)
class Condition:
    """Words that one field, or several taken together, must have."""

    fields: tuple[str, ...]
    terms: tuple[frozenset[str], ...]  # each is a set of words of which one is enough
    exactly: tuple[str, ...] = ()  # in place of terms: the field's words are these, in this order

    def holds(self, product: Judgeable) -> bool:
        if self.exactly:
            return words_of(product, self.fields[0]) == self.exactly
        present = [words_of(product, field) for field in self.fields]
        return all(any(not term.isdisjoint(words) for words in present) for term in self.terms)


@dataclass(frozen=True, slots=True)
class Judged:
    """One query with its rule; no conditions means that the right answer is empty."""

    query: str
    kind: str
    conditions: tuple[Condition, ...]

    @property
    def wants_nothing(self) -> bool:
        return not self.conditions

    def relevant(self, product: Judgeable) -> bool:
        return bool(self.conditions) and all(condition.holds(product) for condition in self.conditions)

    def rank(self, answer: Sequence[Judgeable]) -> int | None:
        """Where the first relevant product stands, from 1; None where there is none. An empty answer to a query
        that wants nothing stands first.
        """
        if self.wants_nothing:
            return None if answer else 1
        return next((place for place, product in enumerate(answer, 1) if self.relevant(product)), None)


@lru_cache(maxsize=65_536)
def words(text: str) -> tuple[str, ...]:
    """Runs of letters and of digits, upper case; a number's needless zeroes are dropped (12.0 is 12, .5 is 0.5)."""
    return tuple(_number(word) if word[-1].isdigit() else word for word in _WORD.findall(text.upper()))


def load(name: str) -> tuple[Judged, ...]:
    """A set of this package's, by its name."""
    source = (JUDGED / f"{name}.yml").read_text(encoding="utf-8")
    return tuple(read(yaml.safe_load(source)))


def read(entries: Sequence[Mapping[str, Any]]) -> Iterator[Judged]:
    """The entries of a set; a rule that cannot be understood is refused, not skipped."""
    for entry in entries:
        query, kind, relevant = str(entry["query"]), entry["kind"], entry["relevant"]
        if kind not in KINDS:
            raise ValueError(f"judged query {query!r}: {kind!r} is no kind; the kinds are {', '.join(KINDS)}")
        if relevant == NOTHING:
            yield Judged(query, kind, ())
            continue
        if not relevant:
            raise ValueError(f"judged query {query!r}: an empty rule would fit every product")
        yield Judged(query, kind, tuple(_condition(query, str(key), str(text)) for key, text in relevant.items()))


def _condition(query: str, key: str, text: str) -> Condition:
    fields = tuple(key.split(_EITHER))
    if unknown := [field for field in fields if field not in FIELDS]:
        raise ValueError(f"judged query {query!r}: no field {unknown[0]!r}; the fields are {', '.join(FIELDS)}")
    if text.startswith(_EXACTLY) and len(fields) == 1 and words(text):
        return Condition(fields, (), words(text))
    terms = tuple(frozenset(word for one in term.split(_EITHER) for word in words(one)) for term in text.split())
    if not terms or not all(terms):
        raise ValueError(f"judged query {query!r}: {key!r} asks for something that is no word")
    return Condition(fields, terms)


def words_of(product: Judgeable, field: str) -> tuple[str, ...]:
    """The words of one field; sizes count as one text."""
    if field == "sizes":
        return words(" ".join(product.sizes or ()))
    return words(getattr(product, field) or "")


def _number(text: str) -> str:
    whole, _, part = text.partition(".")
    part = part.rstrip("0")
    return f"{whole.lstrip('0') or '0'}.{part}" if part else whole.lstrip("0") or "0"
