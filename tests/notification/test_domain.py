"""When a mail is given up, and whom it goes to, without a database."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecom.notification.domain import (
    LEADS_TO,
    MAILS,
    Fact,
    Mail,
    Notification,
    OrderPlaced,
    Outcome,
    Patience,
    PaymentFailed,
    Recipient,
    Status,
    fail,
    standing,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = Patience(tries_max=3, first_delay=timedelta(seconds=30))


def pending() -> Notification:
    mail = Mail(uuid4(), "ann@example.org", "s", "b")
    return Notification(mail.event_id, "order.created.v1", 1, "topic", mail, "0" * 32)


def test_every_pair_has_an_outcome() -> None:
    """No fact can reach a notification that the table does not name; no outcome is idle."""
    assert set(MAILS) == set(itertools.product(Status, Fact))
    assert set(MAILS.values()) == set(Outcome)


def test_a_statement_moves_by_one_fact() -> None:
    """An outcome that a statement writes for many belongs to one fact: its statuses are all that there is to know."""
    for outcome in LEADS_TO:
        assert len({fact for (_, fact), each in MAILS.items() if each is outcome}) == 1
        assert standing(outcome)


@pytest.mark.parametrize(("status", "failures"), list(itertools.product(Status, (0, 2))))
def test_a_failure_goes_where_the_table_says(status: Status, failures: int) -> None:
    """The last try and any other, from every status."""
    before = replace(pending(), status=status, retry_count=failures)
    outcome = MAILS[status, Fact.REFUSED_FOR_GOOD if failures == 2 else Fact.REFUSED]
    after = fail(before, "451 busy", PATIENCE, NOW)
    assert after.status is LEADS_TO.get(outcome, status)
    assert (after == before) == (outcome not in LEADS_TO)


def test_three_failures_are_the_end() -> None:
    """FAILED twice with a doubling wait, then DEAD_LETTER with no next try and two events said."""
    story = []
    now = pending()
    for _ in range(3):
        now = fail(_pending_again(now), "451 busy", PATIENCE, NOW)
        story.append((now.status, now.retry_count, now.next_attempt_at, now.sequence))
    assert story == [
        (Status.FAILED, 1, NOW + timedelta(seconds=30), 0),
        (Status.FAILED, 2, NOW + timedelta(seconds=60), 0),
        (Status.DEAD_LETTER, 3, None, 2),
    ]


def _pending_again(notification: Notification) -> Notification:
    return replace(notification, status=Status.PENDING, next_attempt_at=None, tries=notification.tries + 1)


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED, Status.DEAD_LETTER])
def test_a_late_failure_changes_nothing(status: Status) -> None:
    """A try whose notification has moved on was answered before."""
    moved_on = replace(pending(), status=status)
    assert fail(moved_on, "late", PATIENCE, NOW) == moved_on


def test_the_address_is_not_in_the_error() -> None:
    """A server that quotes the recipient does not bring the address into logs and alerts."""
    failed = fail(pending(), "550 <ann@example.org>: no such user" + "x" * 900, PATIENCE, NOW)
    assert failed.last_error is not None
    assert failed.last_error.startswith("550 <<recipient>>: no such user")
    assert len(failed.last_error) == 500


@given(st.integers(1, 10_000))
def test_the_wait_grows_to_a_limit(failures: int) -> None:
    """However often a mail fails, the next wait is between the first and an hour."""
    assert timedelta(seconds=30) <= PATIENCE.delay(failures) <= timedelta(hours=1)


def test_whom_to_write_to() -> None:
    """The order's own address, else the one every user has."""
    assert Recipient(7, "ann@example.org").address == "ann@example.org"
    assert Recipient(7, None).address == "user7@example.local"


def test_foreign_payment_events_are_enough() -> None:
    """No userId, a null reason, unknown fields: readable; an order without a user is not."""
    news = msgspec.json.decode('{"orderId": "o", "reason": null, "paymentId": "p"}', type=PaymentFailed)
    assert (news.order_id, news.user_id, news.reason) == ("o", None, None)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode('{"orderId": "o", "items": []}', type=OrderPlaced)
