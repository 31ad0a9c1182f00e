"""The state machines and the documents that show them: total, reachable, and drawn as they are."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dovecote.errors import DovecoteError
from ecom.cli import app
from ecom.machines.machine import Machine
from ecom.machines.shop import BEGIN, COMMAND, DESIGN, END, MACHINES, PAGE, documents, stale

machines = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)


@machines
def test_every_pair_has_an_outcome(machine: Machine) -> None:
    """The table is the whole product of states and facts, and every outcome stands in it."""
    assert set(machine.table) == set(itertools.product(machine.states, machine.facts))
    assert set(machine.table.values()) == set(machine.outcomes)


@machines
def test_every_state_is_reached(machine: Machine) -> None:
    """From the start, along the arrows, a machine comes everywhere: no state is dead."""
    reached, frontier = {machine.start}, [machine.start]
    while frontier:
        state = frontier.pop()
        new = {machine.after(state, fact) for fact in machine.facts} - reached
        reached |= new
        frontier += new
    assert reached == set(machine.states)


@machines
def test_from_every_state_a_rest_is_reached(machine: Machine) -> None:
    """No state is a trap: an end is always ahead, and a state that nothing leads away from is one."""
    ends, grew = set(machine.rests), True
    while grew:
        before = len(ends)
        ends |= {state for state in machine.states if any(machine.after(state, fact) in ends for fact in machine.facts)}
        grew = len(ends) > before
    assert ends == set(machine.states)
    leaves = {state for state, _ in machine.edges()}
    assert set(machine.states) - leaves <= machine.rests


def test_the_documents_show_the_machines_as_they_are() -> None:
    """DESIGN.md and the page of tables are what the tables say today; the command mends them."""
    assert sorted(stale()) == [], f"stale: run {COMMAND}"


def test_a_stale_document_is_found_and_mended(tmp_path: Path) -> None:
    """Text around the section stays as it is; what differs within it is found, and the text to write is whole."""
    (tmp_path / "docs").mkdir()
    (tmp_path / DESIGN).write_text(f"before\n{BEGIN}old\n{END}after\n")
    old = stale(tmp_path)
    assert sorted(old) == [DESIGN, PAGE]
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    assert stale(tmp_path) == {}
    text = (tmp_path / DESIGN).read_text()
    assert text.startswith(f"before\n{BEGIN}## The state machines\n")
    assert text.endswith(f"```\n{END}after\n")


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}"])
def test_a_design_without_a_place_is_an_error(tmp_path: Path, text: str) -> None:
    """Without both marks, in this order, nothing is guessed."""
    (tmp_path / DESIGN).write_text(text)
    with pytest.raises(DovecoteError, match="needs the lines"):
        documents(tmp_path)


def test_the_command_checks() -> None:
    """`./ecom machines --check` writes nothing and says of each document whether it is fresh."""
    result = CliRunner().invoke(app, ["machines", "--check"])
    assert (result.exit_code, result.output) == (0, f"{DESIGN}  fresh\n{PAGE}  fresh\n")
