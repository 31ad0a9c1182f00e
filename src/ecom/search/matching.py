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
    part, at = _all(tokens, at)
    if at == len(tokens) or tokens[at][1] != "|":
        return part, at
    parts = [part]
    while at < len(tokens) and tokens[at][1] == "|":
        part, at = _all(tokens, at + 1)
        parts.append(part)
    return Any(parts), at


def _all(tokens: Tokens, at: int) -> tuple[Node, int]:
    part, at = _one(tokens, at)
    if at == len(tokens) or tokens[at][1] != "&":
        return part, at
    parts = [part]
    while at < len(tokens) and tokens[at][1] == "&":
        part, at = _one(tokens, at + 1)
        parts.append(part)
    return All(parts), at


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
