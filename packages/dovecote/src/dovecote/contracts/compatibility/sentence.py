"""What a change is called, and how it is mended, in a sentence each."""

from __future__ import annotations

import json
import re
from typing import Any

from dovecote.contracts.compatibility.change import Verdict
from dovecote.contracts.compatibility.edit import Edit, Kind
from dovecote.contracts.compatibility.normal import Path

VALUE_LENGTH_MAX = 80


def what(edit: Edit) -> str:
    """The edit as a person says it."""
    side, path = edit.place()
    name = label(path)
    before, after = edit.before, edit.after
    if edit.kind is Kind.FIELD:
        node = side.node()
        required = edit.names[0] in node.get("required", ())
        if after is None:
            return f"{name} is gone, which was {'required' if required else 'optional'}"
        return f"{name} is new and {'required' if required else 'optional'}"
    if edit.kind is Kind.REQUIRED:
        return f"{name} is {'required' if after else 'optional'} now and was {'optional' if after else 'required'}"
    if edit.kind is Kind.WHOLE:
        return f"{name} was {_short(before)} and is {_short(after)}"
    if edit.names == ("enum",) and before and after:
        return f"{name} {_moved(before['enum'], after['enum'])}"
    keyword = edit.names[0]
    if len(edit.names) == 1:
        before, after = before.get(keyword), after.get(keyword)
    if keyword == "type" and before is not None and after is not None:
        return f"{name} was {_kinds(before)} and is {_kinds(after)}"
    if before in (None, {}):
        return f"{name} has {keyword} {_short(after)} now"
    if after in (None, {}):
        return f"{name} has no {keyword} any more, which was {_short(before)}"
    return f"{keyword} of {name} was {_short(before)} and is {_short(after)}"


def mend(event: str, edit: Edit | None, verdict: Verdict, *, undecided: bool) -> str:
    """How to get what is wanted without breaking anyone; "" where nobody breaks."""
    beside = f"register {successor(event)} beside {event} and publish both until every reader has moved"
    if verdict is Verdict.COMPATIBLE:
        return ""
    if undecided:
        return f"say it with keywords that can be compared, or {beside}"
    if verdict is Verdict.BREAKS_WRITERS:
        if edit is not None and edit.kind in {Kind.REQUIRED, Kind.FIELD} and edit.after:
            return f"leave it optional, since old events lack it, or {beside}"
        return f"accept what is in the topics already, or {beside}"
    if verdict is Verdict.BREAKS_READERS:
        if edit is not None and edit.kind in {Kind.REQUIRED, Kind.FIELD}:
            return f"keep it required, since old readers rely on it, or {beside}"
        return f"write no more than the old schema allows, or {beside}"
    return beside


def successor(event: str) -> str:
    """The next version of an event type: order.created.v2 after order.created.v1."""
    match = re.search(r"\.v(\d+)$", event)
    return f"{event[: match.start()]}.v{int(match[1]) + 1}" if match else f"{event}.v2"


def label(path: Path) -> str:
    """A place in a payload, as in ``items[].sku``; "the payload" for all of it."""
    made = ""
    at = 0
    while at < len(path):
        step = path[at]
        if step == "properties" and at + 1 < len(path):
            made += f".{path[at + 1]}"
            at += 1
        elif step in {"patternProperties", "dependentSchemas", "$defs"} and at + 1 < len(path):
            made += f".<{path[at + 1]}>"
            at += 1
        elif step in {"items", "prefixItems", "contains"} and at + 1 < len(path):
            made += "[]"
        at += 1
    return made.removeprefix(".") or "the payload"


def _moved(before: list[Any], after: list[Any]) -> str:
    lost = [value for value in before if value not in after]
    gained = [value for value in after if value not in before]
    said = [f"may be {_list(gained)} now"] if gained else []
    said += [f"may no longer be {_list(lost)}"] if lost else []
    return " and ".join(said) or "has its values in another order"


def _list(values: list[Any]) -> str:
    return ", ".join(_short(value) for value in values)


def _kinds(kind: Any) -> str:
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_LENGTH_MAX else f"{text[: VALUE_LENGTH_MAX - 1]}…"
