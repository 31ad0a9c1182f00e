"""Which statements can change what is asked of the databases: after each commit, and whenever all is quiet."""

from __future__ import annotations

import re
from enum import Flag
from functools import cache

# Of outbox records and intents the questions after a commit count rows and read what never changes: no mark matters.
_BOOKS = re.compile(
    r"\b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE)\s+(?:\w+\.)?"
    r"(?:stock|stock_movement|reservation|order_hold|orders|order_transition|payment)\b"
    r"|\b(?:INSERT\s+INTO|DELETE\s+FROM)\s+(?:\w+\.)?(?:outbox_event_record|intent)\b"
)
_WORK = re.compile(
    r"\b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE)\s+(?:\w+\.)?"
    r"(?:outbox_event_record|intent|orders|notification|dead_letter)\b"
)


class Touch(Flag):
    """What a statement may have changed."""

    NOTHING = 0
    BOOKS = 1  # an answer of its schema's question in watch.ALWAYS
    WORK = 2  # how much is left to be done: an answer of watch.LEFT


@cache
def touch(query: str) -> Touch:
    """What a statement may change, by the tables that it writes."""
    books = Touch.BOOKS if _BOOKS.search(query) else Touch.NOTHING
    return books | (Touch.WORK if _WORK.search(query) else Touch.NOTHING)
