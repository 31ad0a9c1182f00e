"""Two schemas apart into edits: the smallest differences that can be carried from one schema to the other alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dovecote.contracts.compatibility.normal import Path, Schema

# Keywords that mean nothing without each other, so they change together.
_GROUPS: tuple[tuple[str, ...], ...] = (
    ("if", "then", "else"),
    ("contains", "minContains", "maxContains"),
)
_DEEPER = ("items", "additionalProperties", "unevaluatedProperties", "propertyNames", "contains")
_BRANCHES = ("allOf", "anyOf", "oneOf")


class Kind(Enum):
    """What an edit is about."""

    FIELD = "field"
    REQUIRED = "required"
    KEYWORD = "keyword"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two schemas: its normal tree, and where in it the edited place is."""

    tree: Schema
    path: Path

    def node(self) -> Schema:
        """What stands at the place."""
        found = self.tree
        for step in self.path:
            found = found[step]
        return found


@dataclass(frozen=True, slots=True)
class Edit:
    """One difference between two schemas at one place.

    ``names`` are the field's name for FIELD and REQUIRED, the keywords for KEYWORD, and nothing for WHOLE.
    """

    kind: Kind
    names: tuple[str, ...]
    old: Side
    new: Side

    @property
    def before(self) -> Any:
        """What the old schema says there: the field's schema, whether it is required, the keywords' values."""
        return self._said(self.old)

    @property
    def after(self) -> Any:
        """What the new schema says there."""
        return self._said(self.new)

    def place(self) -> tuple[Side, Path]:
        """The side that has what is spoken of (the new one where both have), and the path to it."""
        if self.kind is Kind.WHOLE:
            return self.new, self.new.path
        if self.kind is Kind.REQUIRED:
            return self.new, (*self.new.path, "properties", self.names[0])
        side = self.new if self.after not in (None, {}) else self.old
        if self.kind is Kind.FIELD:
            return side, (*side.path, "properties", self.names[0])
        keyword = next(name for name in self.names if name in side.node())
        return side, (*side.path, keyword)

    def carried(self, *, to_new: bool) -> Schema:
        """The old schema with this edit alone made in it, or the new one with this edit alone taken back."""
        target, source = (self.old, self.new) if to_new else (self.new, self.old)
        put = source.node()
        if self.kind is Kind.WHOLE:
            return _defined(_with(target.tree, target.path, copy.deepcopy(put)), source.tree)
        node = dict(target.node())
        if self.kind is Kind.KEYWORD:
            for name in self.names:
                node.pop(name, None)
                if name in put:
                    node[name] = put[name]
        else:
            (name,) = self.names
            if self.kind is Kind.FIELD:
                fields = {key: value for key, value in node.get("properties", {}).items() if key != name}
                node["properties"] = {**fields, **{k: v for k, v in put.get("properties", {}).items() if k == name}}
            needed = set(node.get("required", ())) - {name} | set(put.get("required", ())) & {name}
            node["required"] = sorted(needed)
        return _defined(_with(target.tree, target.path, node), source.tree)

    def _said(self, side: Side) -> Any:
        node = side.node()
        if self.kind is Kind.FIELD:
            return node.get("properties", {}).get(self.names[0])
        if self.kind is Kind.REQUIRED:
            return self.names[0] in node.get("required", ())
        return node if self.kind is Kind.WHOLE else {name: node[name] for name in self.names if name in node}


def edits(old: Schema, new: Schema) -> list[Edit]:
    """Every difference between two normal schemas, outer ones first."""
    return list(_edits(Side(old, ()), Side(new, ())))


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, true and 1 being different."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _edits(old: Side, new: Side) -> Iterator[Edit]:
    was, now = old.node(), new.node()
    if same(was, now):
        return
    if not isinstance(was, dict) or not isinstance(now, dict):
        yield Edit(Kind.WHOLE, (), old, new)
        return
    handled = {"required", "properties", "patternProperties", "$defs"}
    yield from _fields(old, new)
    inner = list(_shared_names(was, now, ("properties", "patternProperties", "$defs")))
    for keyword in _DEEPER:
        if isinstance(was.get(keyword), dict) and isinstance(now.get(keyword), dict):
            handled.add(keyword)
            inner.append(((keyword,), (keyword,)))
    for keyword in (*_BRANCHES, "prefixItems"):
        pairs = _paired(was.get(keyword), now.get(keyword), by_place=keyword == "prefixItems")
        if pairs is not None:
            handled.add(keyword)
            inner += [((keyword, at), (keyword, there)) for at, there in pairs]
    if not same(_keys(was, "patternProperties"), _keys(now, "patternProperties")):
        yield Edit(Kind.KEYWORD, ("patternProperties",), old, new)
    for names in _groups({*was, *now} - handled):
        if not same({n: was[n] for n in names if n in was}, {n: now[n] for n in names if n in now}):
            yield Edit(Kind.KEYWORD, names, old, new)
    for step, there in inner:
        yield from _edits(Side(old.tree, (*old.path, *step)), Side(new.tree, (*new.path, *there)))


def _fields(old: Side, new: Side) -> Iterator[Edit]:
    was, now = old.node(), new.node()
    before, after = was.get("properties", {}), now.get("properties", {})
    moved = [name for name in (*before, *after) if (name in before) != (name in after)]
    for name in moved:
        yield Edit(Kind.FIELD, (name,), old, new)
    for name in sorted(set(was.get("required", ())) ^ set(now.get("required", ()))):
        if name not in moved:
            yield Edit(Kind.REQUIRED, (name,), old, new)


def _shared_names(
    was: Mapping[str, Any], now: Mapping[str, Any], keywords: tuple[str, ...]
) -> Iterator[tuple[Path, Path]]:
    for keyword in keywords:
        for name in was.get(keyword, {}):
            if name in now.get(keyword, {}):
                yield (keyword, name), (keyword, name)


def _paired(was: Any, now: Any, *, by_place: bool) -> list[tuple[int, int]] | None:
    """Which branch became which: equal ones belong together, the rest in order; None where their numbers differ."""
    if not isinstance(was, list) or not isinstance(now, list) or len(was) != len(now):
        return None
    if by_place:
        return [(at, at) for at in range(len(was))]
    left = list(range(len(now)))
    rest = []
    for at, branch in enumerate(was):
        twin = next((other for other in left if same(branch, now[other])), None)
        if twin is None:
            rest.append(at)
        else:
            left.remove(twin)
    return list(zip(rest, left, strict=True))


def _groups(keywords: set[str]) -> Iterator[tuple[str, ...]]:
    """The keywords, those that belong together as one."""
    rest = set(keywords)
    for group in _GROUPS:
        if found := rest & set(group):
            rest -= found
            yield group
    for keyword in sorted(rest):
        yield (keyword,)


def _keys(node: Mapping[str, Any], keyword: str) -> list[str]:
    return sorted(node.get(keyword, {}))


def _with(tree: Schema, path: Path, put: Schema) -> Schema:
    """A copy of the tree with something else at one place."""
    if not path:
        return put
    step, rest = path[0], path[1:]
    if isinstance(tree, list):
        return [_with(inner, rest, put) if at == step else inner for at, inner in enumerate(tree)]
    return {**tree, step: _with(tree[step], rest, put)}


def _defined(tree: Schema, source: Schema) -> Schema:
    """The tree with those definitions that only the source has: what was carried over may refer to them."""
    if not isinstance(tree, dict) or not isinstance(source, dict) or "$defs" not in source:
        return tree
    return {**tree, "$defs": {**source["$defs"], **tree.get("$defs", {})}}
