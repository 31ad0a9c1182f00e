"""What a process remembers: bounded, for a time, and what is asked again longest."""

from __future__ import annotations

from ecom.search.memory import Memory

LONG_S = 60.0


def test_what_is_asked_again_outlives_what_is_not() -> None:
    """However much else is kept meanwhile; and no more than the bound is ever there."""
    memory = Memory[int](10)
    memory.keep("often", 1, LONG_S)
    memory.keep("once", 2, LONG_S)
    for number in range(40):
        memory.keep(number, number, LONG_S)
        assert memory.get("often") == 1
    assert memory.get("once") is None
    assert sum(memory.get(number) is not None for number in range(40)) <= 10
    assert memory.get(39) == 39


def test_what_is_too_old_is_not_there() -> None:
    """Nor does asking for it make it young again."""
    memory = Memory[int](2)
    memory.keep("late", 1, -1.0)
    memory.keep("other", 2, LONG_S)
    assert (memory.get("late"), memory.get("late"), memory.get("other")) == (None, None, 2)


def test_a_newer_value_takes_the_place_of_an_older_one() -> None:
    """Also where the older one stands in the old generation."""
    memory = Memory[int](4)
    memory.keep("price", 1, LONG_S)
    for number in range(2):
        memory.keep(number, number, LONG_S)
    memory.keep("price", 2, LONG_S)
    assert memory.get("price") == 2
