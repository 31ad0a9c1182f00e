"""Lexeme queries as `ecom.search.plan` writes them, answered with sets of documents. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_TOKEN = re.compile(r"'((?:[^'\\]|''|\\.)*)'|([&|()])|(\S)")
_QUOTED = re.compile(r"''|\\(.)")
_CACHED_QUERIES = 4_096

Matches = Callable[[str], int]
"""The documents that have a lexeme, as a set of `ecom.search.bitmap`."""


class All(tuple["Node", ...]):
    """What each of the parts finds."""

    __slots__ = ()


class Any(tuple["Node", ...]):
    """What one of the parts finds."""

    __slots__ = ()


Node = All | Any | str
"""A query; a lexeme is one."""
Tokens = list[tuple[str, str, str]]
"""Of each token its lexeme, its sign, or what is neither."""


def matching(query: str, matches: Matches) -> int:
    """The documents that fulfil a query."""
    return _matching(_read(query), matches)


def _matching(node: Node, matches: Matches) -> int:
    if isinstance(node, str):
        return matches(node)
    first, *rest = node
    found = _matching(first, matches)
    if isinstance(node, Any):
        for part in rest:
            found |= _matching(part, matches)
        return found
    for part in rest:
        if not found:
            break  # nothing is left to be looked for
        found &= _matching(part, matches)
    return found


@lru_cache(maxsize=_CACHED_QUERIES)
def _read(query: str) -> Node:
    """The query taken apart. Raises ValueError where it is none of ours."""
    tokens = _TOKEN.findall(query)
    node, rest = _any(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"No lexeme query: {query!r}")
    return node


def _any(tokens: Tokens, at: int) -> tuple[Node, int]:
    return _joined(tokens, at, "|", _all, Any)


def _all(tokens: Tokens, at: int) -> tuple[Node, int]:
    return _joined(tokens, at, "&", _one, All)


def _joined(
    tokens: Tokens, at: int, sign: str, one: Callable[[Tokens, int], tuple[Node, int]], kind: type[All | Any]
) -> tuple[Node, int]:
    part, at = one(tokens, at)
    parts = [part]
    while at < len(tokens) and tokens[at][1] == sign:
        part, at = one(tokens, at + 1)
        parts.append(part)
    return (kind(parts) if len(parts) > 1 else part), at


def _one(tokens: Tokens, at: int) -> tuple[Node, int]:
    lexeme, sign, _ = tokens[at] if at < len(tokens) else ("", "", "")
    if lexeme:
        is_plain = "'" not in lexeme and "\\" not in lexeme
        return (lexeme if is_plain else _QUOTED.sub(lambda each: each[1] or "'", lexeme)), at + 1
    if sign == "(":
        node, at = _any(tokens, at + 1)
        if at < len(tokens) and tokens[at][1] == ")":
            return node, at + 1
    raise ValueError("A lexeme or a bracket is missing.")
