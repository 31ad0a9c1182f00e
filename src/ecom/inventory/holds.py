"""The life of an order's hold: a table from (phase, fact) to an outcome, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum


class HoldState(StrEnum):
    """Where an order's hold stands. Events of different topics come in any order, hence AWAITED and ENDED."""

    AWAITED = "AWAITED"  # order.created has not come; payment may have
    HELD = "HELD"  # every line RESERVED, until it expires
    CONFIRMED = "CONFIRMED"  # every line CONFIRMED: paid, never expires
    REFUSED = "REFUSED"  # a line was short, nothing was held
    RELEASED = "RELEASED"  # held or confirmed once, all of it given back
    EXPIRED = "EXPIRED"  # held once, given back because nobody paid in time
    ENDED = "ENDED"  # a tombstone: the order ended before order.created came


class Phase(Enum):
    """A hold's state, and while order.created is awaited, whether payment has come already."""

    AWAITED = HoldState.AWAITED
    PREPAID = "payment is authorized, order.created has not come"
    HELD = HoldState.HELD
    CONFIRMED = HoldState.CONFIRMED
    REFUSED = HoldState.REFUSED
    RELEASED = HoldState.RELEASED
    EXPIRED = HoldState.EXPIRED
    ENDED = HoldState.ENDED


class Fact(Enum):
    """What a hold is told, by the order, by payment and by the clock."""

    COVERED = "the order was placed, and every line is there"
    SHORT = "the order was placed, and a line is short"
    AUTHORIZED = "payment is authorized"
    DECLINED = "payment was refused"
    CAPTURE_DECLINED = "the authorized amount could not be taken"
    ENDED = "the order is over"
    OVERDUE = "nobody has paid in time"


class Outcome(Enum):
    """What a fact does to a hold. The last three change nothing."""

    NOTE_PAYMENT = "payment has come first, and is remembered"
    HOLD = "every line is held until it is paid, and the order hears it: HELD"
    SELL = "paid already: every line is sold, and the order hears it: CONFIRMED"
    REFUSE = "nothing is held, and the order hears why: REFUSED"
    CONFIRM = "what is held is sold: CONFIRMED"
    RELEASE = "what is held returns: RELEASED"
    RESTOCK = "what was sold returns: RELEASED"
    EXPIRE = "what is held returns, and the order hears it: EXPIRED"
    BURY = "over before it began, a tombstone: ENDED"
    KNOWN = "this was so already, or there is nothing to give back"
    TOO_LATE = "it has been decided otherwise meanwhile; who must know was told"
    CONTRADICTED = "payment said otherwise before; its first word stands until the order ends"


def _holds() -> Mapping[tuple[Phase, Fact], Outcome]:
    """The whole machine, a row for each phase; the columns stand in the order of Fact."""
    o = Outcome
    known, late, against = o.KNOWN, o.TOO_LATE, o.CONTRADICTED
    # covered, short, authorized, declined, capture declined, ended, overdue
    rows = {
        Phase.AWAITED: (o.HOLD, o.REFUSE, o.NOTE_PAYMENT, o.BURY, o.BURY, o.BURY, known),
        Phase.PREPAID: (o.SELL, o.REFUSE, known, against, o.BURY, o.BURY, known),
        Phase.HELD: (known, known, o.CONFIRM, o.RELEASE, o.RELEASE, o.RELEASE, o.EXPIRE),
        Phase.CONFIRMED: (known, known, known, against, o.RESTOCK, o.RESTOCK, late),
        Phase.REFUSED: (known, known, late, known, known, known, known),
        Phase.RELEASED: (known, known, late, known, known, known, known),
        Phase.EXPIRED: (known, known, late, known, known, known, known),
        Phase.ENDED: (late, late, late, known, known, known, known),
    }
    return {(phase, fact): outcome for phase, row in rows.items() for fact, outcome in zip(Fact, row, strict=True)}


HOLDS = _holds()

LEADS_TO: Mapping[Outcome, Phase] = {
    Outcome.NOTE_PAYMENT: Phase.PREPAID,
    Outcome.HOLD: Phase.HELD,
    Outcome.SELL: Phase.CONFIRMED,
    Outcome.REFUSE: Phase.REFUSED,
    Outcome.CONFIRM: Phase.CONFIRMED,
    Outcome.RELEASE: Phase.RELEASED,
    Outcome.RESTOCK: Phase.RELEASED,
    Outcome.EXPIRE: Phase.EXPIRED,
    Outcome.BURY: Phase.ENDED,
}
"""Every other outcome leaves the hold as it is."""

SAID = frozenset({Outcome.HOLD, Outcome.SELL, Outcome.REFUSE, Outcome.EXPIRE})
"""Outcomes of which the order is told, by an event each."""
