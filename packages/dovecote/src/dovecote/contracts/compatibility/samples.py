"""Values on the edges of what schemas say: numbers around bounds, strings around patterns, lengths and formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

from dovecote.contracts.compatibility.expression import UnreadableError
from dovecote.contracts.compatibility.inclusion import FORMAT_PATTERNS
from dovecote.contracts.compatibility.language import Condition, Length, shortest

Node = Mapping[str, Any]
LENGTH_MAX = 10_000
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_FORMATS: Mapping[str, tuple[str, ...]] = {
    "date": ("2026-01-31",),
    "time": ("12:00:00Z", "12:00:00.5+01:00"),
    "date-time": ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00+01:00"),
    "duration": ("P1D", "PT1H"),
    "email": ("a@b.example", "a" * 60 + "@b.example"),
    "idn-email": ("é@b.example", "a@b.example"),
    "hostname": ("a", "b.example"),
    "idn-hostname": ("é.example", "a"),
    "ipv4": ("10.0.0.1", "192.168.100.200"),
    "ipv6": ("::1", "2001:db8::8a2e:370:7334"),
    "uri": ("a:b", "https://b.example/a?b#c", "https://b.example/" + "a" * 300),
    "uri-reference": ("", "/a", "a:b"),
    "iri": ("a:é", "https://b.example/é"),
    "iri-reference": ("", "/é"),
    "uuid": ("01234567-89ab-7def-8123-456789abcdef", "01234567-89AB-4DEF-8123-456789ABCDEF"),
    "uri-template": ("/{a}", "a"),
    "json-pointer": ("", "/a"),
    "relative-json-pointer": ("0", "1/a"),
    "regex": ("a", "^[0-9]+$"),
}
_LETTERS = re.compile(r"[^\W_]+")
# Formats of any length: where a value is filled up to one.
_STRETCHED: Mapping[str, str] = {
    "date-time": "2026-01-31T12:00:00.{}Z",
    "time": "12:00:00.{}Z",
    "uri": "https://b.example/{}",
    "uri-reference": "/{}",
    "iri": "https://b.example/{}",
    "iri-reference": "/{}",
    "uri-template": "/{}",
    "json-pointer": "/{}",
    "duration": "P{}D",
    "regex": "{}",
}
_WORDS = ("", "a", "A", "0", "-1", "1.5", "é", " ", "x y", "😀")


def numbers(says: Sequence[Node]) -> Iterator[int | float]:
    """Numbers at, around and between all bounds, and multiples near them."""
    bounds = sorted({_exact(node[key]) for node in says for key in _BOUNDS if key in node} | {Fraction(0)})
    factors = sorted({_exact(node["multipleOf"]) for node in says if "multipleOf" in node})
    found = {Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(2)}
    for bound in bounds:
        found |= {bound + step for step in (0, 1, -1, Fraction(1, 2), -Fraction(1, 2), Fraction(1, 100))}
        for factor in factors:
            nearest = bound // factor * factor
            found |= {nearest + factor * times for times in (-2, -1, 0, 1, 2, 3)}
    found |= {(low + high) / 2 for low, high in pairwise(bounds)}
    found |= {one * other for one in factors for other in factors}
    for number in sorted(found, key=lambda value: (abs(value), value < 0)):
        yield int(number) if number.denominator == 1 else float(number)


def strings(promised: Sequence[Node], asked: Sequence[Node]) -> Iterator[str]:
    """Strings of what is promised, short ones first, among them those on either side of each thing asked."""
    holds = list(dict.fromkeys(condition for node in promised for condition in _conditions(node)))
    edges = [one for one in dict.fromkeys(c for node in asked for c in _conditions(node)) if one not in holds]
    shapes = dict.fromkeys(
        FORMAT_PATTERNS[node["format"]] for node in promised if node.get("format") in FORMAT_PATTERNS
    )
    for condition in edges:
        yield from _found([*holds, *shapes, condition], [])
        yield from _found([*holds, *shapes], [condition])
    yield from _found(holds, [])
    lengths = {length for node in asked for length in _lengths(node)}
    patterns = [condition for condition in holds if isinstance(condition, str)]
    formats = dict.fromkeys(node["format"] for node in promised if node.get("format") in _STRETCHED)
    for length in sorted(lengths):
        yield "a" * length
        yield from (_STRETCHED[name].format("1" * max(1, length - len(_STRETCHED[name]) + 2)) for name in formats)
        if patterns:
            yield from _found([*patterns, Length(length, length)], [])
    for node in asked:
        yield from _FORMATS.get(node.get("format", ""), ())
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            # For what no automaton reads: the pattern's own words, alone and before what is promised.
            for word in _LETTERS.findall(pattern):
                yield word
                yield from (word + text for text in _found(holds, []))
    yield from _WORDS


def names(patterns: Iterable[str], asked: Sequence[Node]) -> Iterator[str]:
    """Names for fields that no schema lists: of each pattern, and on the edges of what is asked of names."""
    for pattern in patterns:
        yield from _found([pattern], [])
        for length in sorted({length for node in asked for length in _lengths(node)}):
            yield from _found([pattern, Length(length, length)], [])
        for node in asked:
            for condition in _conditions(node):
                yield from _found([pattern], [condition])
    yield from strings((), asked)


def _conditions(node: Node) -> Iterator[Condition]:
    if "minLength" in node:
        yield Length(node["minLength"])
    if "maxLength" in node:
        yield Length(0, node["maxLength"])
    if isinstance(node.get("pattern"), str):
        yield node["pattern"]


def _found(holds: Sequence[Condition], fails: Sequence[Condition]) -> Iterator[str]:
    text = _shortest(tuple(holds), tuple(fails))
    if text is not None:
        yield text


@lru_cache(maxsize=4096)
def _shortest(holds: tuple[Condition, ...], fails: tuple[Condition, ...]) -> str | None:
    try:
        return shortest(holds, fails)
    except UnreadableError:
        return None


def _lengths(node: Node) -> set[int]:
    edges = [node[key] for key in ("minLength", "maxLength") if key in node]
    return {length for edge in edges for length in (edge - 1, edge, edge + 1) if 0 <= length <= LENGTH_MAX}


def _exact(number: float) -> Fraction:
    """A JSON number's own value: 0.1 is a tenth, as its text says."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)
