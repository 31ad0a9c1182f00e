"""Bugs on purpose, for the simulator's own test: each switch breaks one rule of the catalogue, and must be found."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from tests.simulation.bugs.consumer import CONSUMER_BUGS
from tests.simulation.bugs.money import MONEY_BUGS
from tests.simulation.bugs.outbox import OUTBOX_BUGS
from tests.simulation.bugs.stock import STOCK_BUGS
from tests.simulation.bugs.switch import Bug

BUGS: Mapping[str, Bug] = {bug.row: bug for bug in (*OUTBOX_BUGS, *CONSUMER_BUGS, *MONEY_BUGS, *STOCK_BUGS)}


def switched_on(row: str) -> AbstractContextManager[None]:
    """The bug against that row of the catalogue for the block; none for no name. Raises KeyError for an unknown one."""
    return BUGS[row].switched_on() if row else nullcontext()
