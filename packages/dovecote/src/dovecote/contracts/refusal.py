"""What msgspec says of a payload that does not fit its Struct, with the place as a JSON pointer."""

from __future__ import annotations

import re

from dovecote.contracts.problem import pointer

_PLACE = re.compile(r"^(?P<why>.*) - at `(?:(?:key|value) in )?\$(?P<path>.*)`$", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|(?P<some>\[\.\.\.\])")


def place_of(error: Exception) -> tuple[str, str]:
    """JSON pointer and reason of a refusal: ``$.items[3].quantity`` is ``/items/3/quantity``; the whole is empty.

    Of a mapping's values msgspec does not say which one it was: the pointer then ends at the mapping.
    """
    said = _PLACE.match(str(error))
    if said is None:
        return "", str(error)
    parts: list[str] = []
    for step in _STEP.finditer(said["path"]):
        if step["some"]:
            break
        parts.append(step["name"] or step["index"])
    return pointer(*parts), said["why"]
