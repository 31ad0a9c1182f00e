"""No question is left unasked because a statement was taken for one that changes no answer."""

from __future__ import annotations

import re

import pytest

from tests.simulation import watch
from tests.simulation.writes import Touch, touch

# Of these the questions after a commit read only what is there, and no mark changes that.
ONLY_THERE = {"outbox_event_record", "intent"}
WRITES = ("INSERT INTO {} (id) VALUES (1)", "DELETE FROM {} WHERE id = 1", "UPDATE {} SET id = 2")


def _tables(question: str) -> set[str]:
    return set(re.findall(r"\b\w+_service\.(\w+)", question))


def test_a_service_is_asked_about_what_only_it_writes() -> None:
    """Its question is asked when it has written: of others it reads an order's items, which never change."""
    for schema, question in watch.ALWAYS.items():
        foreign = {each for each in re.findall(r"\b(\w+_service\.\w+)", question) if not each.startswith(schema)}
        assert foreign == ({"order_service.orders"} if schema == "inventory_service" else set())


@pytest.mark.parametrize("write", WRITES)
def test_a_write_to_what_is_asked_about_is_seen(write: str) -> None:
    """In each table that a question reads, alone, behind a schema's name or deep inside a statement."""
    for question, kind in ((" ".join(watch.ALWAYS.values()), Touch.BOOKS), (watch.LEFT, Touch.WORK)):
        assert len(_tables(question)) >= 5
        for table in _tables(question):
            if kind is Touch.BOOKS and table in ONLY_THERE and write.startswith("UPDATE"):
                continue
            for statement in (
                write.format(table),
                write.format(f"a_schema.{table}"),
                f"WITH w AS (\n{write}) SELECT 1",
            ):
                assert kind in touch(statement.format(table)), statement


def test_a_read_touches_nothing() -> None:
    """A statement that only reads or locks asks for no answer."""
    assert touch("SELECT id FROM orders WHERE id = $1 FOR UPDATE") is Touch.NOTHING
