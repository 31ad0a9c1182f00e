"""Telling: a change that must be told has its event, an event has its change, and no number is missing between them.

What an order's changes publish is the saga's own table. Payment and inventory keep no history: what each of their
states may have said, in order, is written down here a second time, so that the audit does not trust what it audits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dovecote import Database
from dovecote.sql import Sql
from ecom.audit import messaging_store, store
from ecom.audit.evidence import Evidence
from ecom.contracts.inventory import InventoryReservationFailed, InventoryReserved
from ecom.contracts.notification import NotificationAlert, NotificationDlq
from ecom.contracts.payment import PaymentAuthorized, PaymentCaptured, PaymentFailed, PaymentRefunded
from ecom.contracts.product import ProductDeleted
from ecom.inventory.holds import HoldState
from ecom.order.domain import PUBLISHES
from ecom.payment.stages import Stage

Story = tuple[str, ...]

_HELD, _LACKING = InventoryReserved.EVENT, InventoryReservationFailed.EVENT
_PAID, _FAILED = PaymentAuthorized.EVENT, PaymentFailed.EVENT
_TAKEN, _RETURNED = PaymentCaptured.EVENT, PaymentRefunded.EVENT

HOLDS: Mapping[HoldState, frozenset[Story]] = {
    HoldState.AWAITED: frozenset({()}),
    HoldState.HELD: frozenset({(_HELD,)}),
    HoldState.CONFIRMED: frozenset({(_HELD,)}),
    HoldState.REFUSED: frozenset({(_LACKING,)}),
    HoldState.RELEASED: frozenset({(_HELD,)}),
    HoldState.EXPIRED: frozenset({(_HELD, _LACKING)}),
    HoldState.ENDED: frozenset({()}),
}
# An order that ends before its authorization is answered never hears of it; a webhook may authorize what was declined.
_LET_GO = frozenset({(), (_FAILED,), (_PAID,), (_PAID, _FAILED)})
_GIVEN_BACK = _LET_GO | {(_PAID, _TAKEN)}
PAYMENTS: Mapping[Stage, frozenset[Story]] = {
    Stage.WAITING: frozenset({()}),
    Stage.AUTHORIZING: frozenset({()}),
    Stage.AUTHORIZING_ENDED: frozenset({()}),
    Stage.AUTHORIZED: frozenset({(_PAID,)}),
    Stage.CAPTURING: frozenset({(_PAID,)}),
    Stage.CAPTURING_ENDED: frozenset({(_PAID,)}),
    Stage.CAPTURED: frozenset({(_PAID, _TAKEN)}),
    Stage.VOIDING: _LET_GO,
    Stage.VOIDED: _LET_GO,
    Stage.REFUNDING: _GIVEN_BACK,
    Stage.REFUNDED: frozenset((*story, _RETURNED) for story in _GIVEN_BACK),
    Stage.DECLINED: frozenset({(), (_FAILED,)}),
    Stage.ENDED: frozenset({()}),
}


async def gaps(evidence: Evidence) -> list[str]:
    """I11: the sequences of an aggregate follow each other without a gap, from the oldest record that is kept."""
    return [
        f"{name}, {row['aggregate_type']} {row['aggregate_id']}: #{row['sequence']} follows #{row['before']}"
        for name, service in evidence.services.items()
        for row in await service.database.fetch(messaging_store.OUTBOX_WITH_GAPS, evidence.kept_since)
    ]


async def orders_amiss(evidence: Evidence) -> list[str]:
    """I11: each change of an order's status has the event that tells of it, and each event its change."""
    statuses = [str(status) for status in PUBLISHES]
    return [
        f"{row['order_id']} #{row['sequence']}: status {row['status']}, event {row['event_type']}"
        for row in await evidence.order.fetch(
            store.ORDER_EVENTS_AMISS, statuses, list(PUBLISHES.values()), evidence.kept_since
        )
    ]


async def holds_amiss(evidence: Evidence) -> list[str]:
    """I11: what inventory has said of an order is what led to where its hold stands."""
    return await _amiss(evidence, evidence.inventory, store.HOLDS_AND_EVENTS_AMISS, *_columns(HOLDS))


async def payments_amiss(evidence: Evidence) -> list[str]:
    """I11: what payment has said of an order is what led to its stage."""
    return await _amiss(evidence, evidence.payment, store.PAYMENTS_AND_EVENTS_AMISS, *_columns(PAYMENTS))


async def products_amiss(evidence: Evidence) -> list[str]:
    """I11: each version of a product was said, and the last event says whether it is deleted."""
    if evidence.product is None:
        return []
    return await _amiss(evidence, evidence.product, store.PRODUCTS_AND_EVENTS_AMISS, ProductDeleted.EVENT)


async def notifications_amiss(evidence: Evidence) -> list[str]:
    """I11: a mail that was given up said so in two events, and nothing else of a notification is said."""
    return await _amiss(
        evidence,
        evidence.notification,
        store.NOTIFICATIONS_AND_EVENTS_AMISS,
        NotificationDlq.EVENT,
        NotificationAlert.EVENT,
    )


async def _amiss(evidence: Evidence, database: Database, question: Sql, *facts: Any) -> list[str]:
    return [
        f"{row['id']}: {row['state'] or 'unknown'}, counts {row['sequence'] or 0}, said {row['story'] or 'nothing'}"
        for row in await database.fetch(question, evidence.kept_since, *facts)
    ]


def _columns(stories: Mapping[Any, frozenset[Story]]) -> tuple[list[str], list[str]]:
    """States and what each may have said, as the statements compare it."""
    pairs = sorted((str(state.value), " ".join(story)) for state, told in stories.items() for story in told)
    return [state for state, _ in pairs], [story for _, story in pairs]
