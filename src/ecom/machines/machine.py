"""A state machine as data: a total table from (state, fact) to an outcome, and where outcomes lead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine. At ``rests`` nothing more is expected; what still leads away from there is a new fact.

    An outcome that is not in ``leads_to`` leaves the state as it is.
    """

    name: str
    about: str
    table: Mapping[tuple[Any, Any], Any]
    leads_to: Mapping[Any, Any]
    start: Enum
    rests: frozenset[Enum]

    @property
    def states(self) -> list[Enum]:
        """Every state, in the order of their enum."""
        return _members(self.start)

    @property
    def facts(self) -> list[Enum]:
        """Every fact, in the order of their enum."""
        return _members(next(fact for _, fact in self.table))

    @property
    def outcomes(self) -> list[Enum]:
        """Every outcome, in the order of their enum."""
        return _members(next(iter(self.table.values())))

    def after(self, state: Enum, fact: Enum) -> Enum:
        """Where a fact leads."""
        to: Enum = self.leads_to.get(self.table[state, fact], state)
        return to

    def edges(self) -> dict[tuple[Enum, Enum], list[Enum]]:
        """The facts that lead from one state to another one, in the order of the enums."""
        found: dict[tuple[Enum, Enum], list[Enum]] = {}
        for state in self.states:
            for fact in self.facts:
                to = self.after(state, fact)
                if to is not state:
                    found.setdefault((state, to), []).append(fact)
        return found


def _members(one: Enum) -> list[Enum]:
    kind: type[Enum] = type(one)
    return [*kind.__members__.values()]
