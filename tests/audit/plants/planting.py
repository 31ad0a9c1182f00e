"""The list of plants, each with the one question that must find it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ecom.audit.invariants import Check
from tests.audit.books import Books

Plant = Callable[[Books], Awaitable[None]]


class Planted(NamedTuple):
    """A violation, and who finds it."""

    check: Check
    plant: Plant


PLANTS: list[Planted] = []


def breaks(check: Check) -> Callable[[Plant], Plant]:
    """Register a way to break an invariant."""

    def register(plant: Plant) -> Plant:
        PLANTS.append(Planted(check, plant))
        return plant

    return register
