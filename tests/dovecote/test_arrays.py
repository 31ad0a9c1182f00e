"""The driver's arrays under ``quicken_arrays``, which every command runs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import asyncpg
import pytest
from asyncpg.protocol import protocol as driver

from dovecote.arrays import ABSTRACT, quicken_arrays
from ecom.local import Servers

VALUES = ["0190e1c2-7abc-8def-0123456789ab", None] * 5_000
COUNT = "SELECT cardinality($1::text[])"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The driver as it comes, before and after."""
    asked = {name: getattr(driver, name) for name in ABSTRACT}
    yield
    for name, classes in asked.items():
        setattr(driver, name, classes)


@pytest.mark.parametrize(
    "array",
    [["a", "b"], ("a", "b"), {"a", "b"}, frozenset(("a", "b")), {"a": 1, "b": 2}.keys(), {1: "a", 2: "b"}.values()],
    ids=lambda array: type(array).__name__,
)
async def test_what_was_an_array_is_one(embedded: Servers, array: object) -> None:
    """Lists, tuples, sets and the views of a dict go to the server as before; a text is no array of letters."""
    quicken_arrays()
    connection = await asyncpg.connect(embedded.database_url)
    try:
        assert await connection.fetchval(COUNT, array) == 2
        with pytest.raises(asyncpg.DataError):
            await connection.fetchval(COUNT, "ab")
    finally:
        await connection.close()


async def test_arrays_cost_less(embedded: Servers) -> None:
    """The point of it: encoding ten thousand values takes well under what it took, by turns in one connection."""
    connection = await asyncpg.connect(embedded.database_url)
    asked = {name: getattr(driver, name) for name in ABSTRACT}
    took: dict[bool, float] = {False: 1e9, True: 1e9}
    try:
        statement = await connection.prepare(COUNT)
        for turn in range(20):
            quick = turn % 2 == 1
            if quick:
                quicken_arrays()
            else:
                for name, classes in asked.items():
                    setattr(driver, name, classes)
            began = time.thread_time()
            assert await statement.fetchval(VALUES) == len(VALUES)
            took[quick] = min(took[quick], time.thread_time() - began)
    finally:
        await connection.close()
    assert took[True] < 0.75 * took[False]
