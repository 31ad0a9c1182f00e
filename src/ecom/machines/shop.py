"""The shop's state machines, and the two documents that show them: a section of DESIGN.md, and a page of tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dovecote.errors import DovecoteError
from ecom.contracts.check import ROOT
from ecom.inventory import holds
from ecom.machines.drawing import diagram, table, words
from ecom.machines.machine import Machine
from ecom.notification import domain as notification
from ecom.order import domain as order
from ecom.payment import stages as payment

COMMAND = "./ecom machines"
DESIGN, PAGE = "DESIGN.md", "docs/state-machines.md"
BEGIN, END = "<!-- generated: state machines -->\n", "<!-- end of generated -->\n"

MACHINES = (
    Machine(
        name="An order",
        about="`SAGA` in `src/ecom/order/domain.py`: the first three phases are PAYMENT_PENDING to a client.",
        table=order.SAGA,
        leads_to=order.LEADS_TO,
        start=order.Phase.WAITING,
        rests=frozenset({order.Phase.CONFIRMED, order.Phase.FAILED, order.Phase.TIMED_OUT, order.Phase.CANCELLED}),
    ),
    Machine(
        name="A payment",
        about="`COURSE` in `src/ecom/payment/stages.py`: what ends in -ING waits for the provider, with one question.",
        table=payment.COURSE,
        leads_to={outcome: step.to for outcome, step in payment.STEPS.items()},
        start=payment.Stage.WAITING,
        rests=frozenset(
            {
                payment.Stage.CAPTURED,
                payment.Stage.VOIDED,
                payment.Stage.REFUNDED,
                payment.Stage.DECLINED,
                payment.Stage.ENDED,
            }
        ),
    ),
    Machine(
        name="An order's hold on stock",
        about="`HOLDS` in `src/ecom/inventory/holds.py`: one hold an order, all of its lines or none.",
        table=holds.HOLDS,
        leads_to=holds.LEADS_TO,
        start=holds.Phase.AWAITED,
        rests=frozenset(
            {
                holds.Phase.CONFIRMED,
                holds.Phase.REFUSED,
                holds.Phase.RELEASED,
                holds.Phase.EXPIRED,
                holds.Phase.ENDED,
            }
        ),
    ),
    Machine(
        name="A mail",
        about="`MAILS` in `src/ecom/notification/domain.py`: one mail about one event.",
        table=notification.MAILS,
        leads_to=notification.LEADS_TO,
        start=notification.Status.PENDING,
        rests=frozenset({notification.Status.SENT, notification.Status.DEAD_LETTER}),
    ),
)

_SECTION = f"""\
## The state machines
Drawn by `{COMMAND}` from the tables by which the code decides; a test keeps them fresh. An arrow is named after the
facts that lead along it; at a state with an arrow to the end nothing more is expected. A fact that leads nowhere has a
named outcome too: [every pair](docs/state-machines.md).
"""
_PAGE = f"""\
# The state machines, every pair

Made by `{COMMAND}` from the tables by which the code decides; the pictures stand in
[DESIGN.md](../DESIGN.md#the-state-machines). Whatever is told in whatever state has an outcome with a name: no pair is
left to a default, and a test counts them.
"""


def section() -> str:
    """The section of DESIGN.md."""
    parts = [f"### {each.name}\n{each.about}\n\n{diagram(each)}\n" for each in MACHINES]
    return "\n".join([_SECTION, *parts])


def page() -> str:
    """The page of tables."""
    parts = []
    for each in MACHINES:
        parts.append(f"## {each.name}\n{each.about}\n\n{table(each)}\n\nOutcomes:\n\n{words(each.outcomes)}\n")
        if facts := words(each.facts):
            parts.append(f"Facts:\n\n{facts}\n")
    return "\n".join([_PAGE, *parts])


def documents(root: Path = ROOT) -> Mapping[str, str]:
    """Each document's whole text, by its name; raises DovecoteError where DESIGN.md has no place for the section."""
    text = (root / DESIGN).read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise DovecoteError(f"{DESIGN} needs the lines {BEGIN.strip()} and {END.strip()}, in this order.")
    return {DESIGN: f"{before}{BEGIN}{section()}{END}{after}", PAGE: page()}


def stale(root: Path = ROOT) -> dict[str, str]:
    """The documents that do not show the machines as they are, with the text that they should have."""
    return {name: text for name, text in documents(root).items() if _read(root / name) != text}


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
