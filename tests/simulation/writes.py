"""Which statements can change what the questions after each commit read."""

from __future__ import annotations

import re
from functools import cache

# Of outbox records and intents those questions count rows and read what never changes: marks change no answer.
_WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE)\s+(?:\w+\.)?"
    r"(?:stock|stock_movement|reservation|order_hold|orders|order_transition|payment)\b"
    r"|\b(?:INSERT\s+INTO|DELETE\s+FROM)\s+(?:\w+\.)?(?:outbox_event_record|intent)\b"
)


@cache
def touches(query: str) -> bool:
    """Whether a statement may change an answer of watch.ALWAYS."""
    return _WRITES.search(query) is not None
