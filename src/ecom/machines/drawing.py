"""How a machine is shown to people: a Mermaid diagram of what moves, and a table of every pair."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from ecom.machines.machine import Machine


def diagram(machine: Machine) -> str:
    """A Mermaid diagram, fenced as GitHub draws it; facts between the same two states share an arrow."""
    lines = [f"    [*] --> {machine.start.name}"]
    lines += [f"    {a.name} --> {b.name} : {_names(facts)}" for (a, b), facts in machine.edges().items()]
    lines += [f"    {state.name} --> [*]" for state in machine.states if state in machine.rests]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def table(machine: Machine) -> str:
    """Every pair with its outcome: a row for each state, what leads away from it first."""
    rows = ["| state | what leads away | what leaves it as it is |", "|---|---|---|"]
    for state in machine.states:
        away, stays = [], []
        for outcome, facts in _by_outcome(machine, state):
            to = machine.after(state, facts[0])
            if to is state:
                stays.append(f"{outcome.name}: {_names(facts)}")
            else:
                away.append(f"{_names(facts)} → **{outcome.name}** ({to.name})")
        rows.append(f"| {state.name} | {'<br>'.join(away)} | {'<br>'.join(stays)} |")
    return "\n".join(rows)


def words(members: list[Enum]) -> str:
    """What the names of an enum mean, a line each, where their values are sentences."""
    return "\n".join(f"- `{member.name}`: {member.value}" for member in members if " " in str(member.value))


def _by_outcome(machine: Machine, state: Enum) -> Iterator[tuple[Enum, list[Enum]]]:
    for outcome in machine.outcomes:
        facts = [fact for fact in machine.facts if machine.table[state, fact] is outcome]
        if facts:
            yield outcome, facts


def _names(members: list[Enum]) -> str:
    return ", ".join(member.name for member in members)
