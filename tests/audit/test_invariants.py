"""Each clause of each invariant, broken in one place of a shop whose books agree, is found, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dovecote import envelope, ids
from ecom.audit import catalogue, sessions
from ecom.audit.finding import ROWS_MAX, finding
from ecom.audit.invariants import ELSEWHERE, INVARIANTS, Check
from ecom.audit.telling import HOLDS, PAYMENTS
from ecom.inventory.domain import HoldState
from ecom.payment.stages import Stage
from tests.audit.books import Books, sentence
from tests.audit.plants import PLANTS, Plant
from tests.audit.plants.clients import PLACED, answered, asked, keep, look
from tests.audit.plants.mails import arrived

ALERT = "notification.alert.v1"
# Broken by tests of their own: test_catalogue, test_sessions.
PLANTED_ELSEWHERE = {
    *(catalogue.indexed_amiss, catalogue.documents_amiss, catalogue.prices_amiss),
    *(sessions.idle_in_transaction, sessions.orphan_locks, sessions.deadlocked),
}


async def test_books_that_agree_give_no_finding(books: Books) -> None:
    """The shop that all plants start from is clean, asked everything; with its mailbox and a journal, too."""
    assert await books.places() == {}
    keep(books, *PLACED, *look(2, "PAYMENT_PENDING"), *look(3, "CONFIRMED"))
    books.given = replace(books.given, mailbox=await arrived(books))
    assert await books.places() == {}


@pytest.mark.parametrize(("check", "plant"), PLANTS, ids=[f"{each.plant.__name__}" for each in PLANTS])
async def test_a_planted_violation_is_the_only_finding(books: Books, check: Check, plant: Plant) -> None:
    """Break one thing; exactly its question finds it, in one place."""
    await plant(books)
    places = await books.places()
    assert set(places) == {sentence(check)}
    assert len(places[sentence(check)]) == 1


def test_every_question_has_a_plant() -> None:
    """No question of the table goes without a violation that it must find, and each invariant is asked or argued."""
    assert {each.check for each in INVARIANTS} == {each.check for each in PLANTS} | PLANTED_ELSEWHERE
    assert {each.name for each in INVARIANTS} | set(ELSEWHERE) == {f"I{number}" for number in range(1, 25)}


def test_what_a_state_may_have_said_is_written_for_every_state() -> None:
    """A new state of a hold or a payment needs its line in the audit."""
    assert set(HOLDS) == set(HoldState)
    assert set(PAYMENTS) == set(Stage)


async def test_a_phantom_of_a_foreign_producer_is_none(books: Books) -> None:
    """Somebody else's order service may write our topics; what it says was never in our outbox."""
    now = datetime.now(UTC)
    value = envelope.encode(ids.uuid7(now), ALERT, now, "notification-service", "t" * 32, b"{}")
    books.send(ALERT, value)
    books.records[-1] = books.records[-1]._replace(headers=())
    assert await books.places() == {}


async def test_an_impostor_is_a_matter_for_the_inbox(books: Books) -> None:
    """Somebody else sends other contents under one of our eventIds: our relay did nothing wrong."""
    first = books.records[0]
    assert first.value is not None
    books.records.append(first._replace(value=first.value.replace(b'"x"', b'"y"'), headers=(), offset=98))
    assert await books.places() == {}


async def test_a_repeat_of_a_sent_event_is_none(books: Books) -> None:
    """At-least-once: the same bytes again, even behind a later event of the aggregate, are as good as once."""
    first, second = [record for record in books.records if record.key == b"a"]
    books.records += [each._replace(offset=90 + number) for number, each in enumerate((first, second, first))]
    assert await books.places() == {}


async def test_what_retention_took_is_not_missed(books: Books) -> None:
    """A record that its topic no longer keeps is neither lost nor a phantom; one sent since then would be."""
    [gone, *kept] = [record for record in books.records if record.topic == "product.upserted.v1"]
    books.records.remove(gone)
    assert {name for name, _ in await books.places()} == {"I10"}
    late = round(datetime.now(UTC).timestamp() * 1000) + 1000
    books.records = [each._replace(timestamp_ms=late) if each in kept else each for each in books.records]
    assert await books.places() == {}


async def test_known_poison_is_no_finding(books: Books) -> None:
    """What had to fail and what had to be set aside, named by id or place, for one group or for all, is as expected."""
    failed = await books.store("notification", ALERT, "mystery", "m", 1, status="FAILED")
    await books.store(
        *("notification", ALERT, "mystery", "m", 2), status="PENDING", created_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    await books.run(
        "notification",
        """UPDATE outbox_event_record SET blocked_by = (SELECT max(id) FROM outbox_event_record WHERE status = 'FAILED')
            WHERE status = 'PENDING'""",
    )
    for name in ("inventory", "payment"):
        await books.run(
            name,
            f"""INSERT INTO dead_letter (consumer_group, topic, partition, "offset", headers, error, status, attempts,
                                         created_at, updated_at)
                VALUES ('{name}-service', 'order.created.v1', 0, 77, '[]', 'no envelope', 'DEAD', 1, now(), now())""",
        )
    everybody = frozenset({"order.created.v1/0/77"})
    books.given = replace(books.given, failed_events=frozenset({failed}), dead_letters=everybody)
    assert await books.places() == {}
    one = frozenset({"inventory-service order.created.v1/0/77"})
    books.given = replace(books.given, dead_letters=one)
    [[row]] = (await books.places()).values()
    assert row.startswith("payment-service order.created.v1/0/77: DEAD")


async def test_a_rebalance_may_move_an_offset(books: Books) -> None:
    """A partition that was assigned anew between two looks is another story."""
    seat = ("inventory-service", "order.created.v1", 0)
    now = (await books.evidence()).vitals[-1]
    before = replace(now, committed={**now.committed, seat: 5}, assigned={seat: (0, 1)})
    books.vitals = [before, replace(now, assigned={seat: (0, 2)})]
    assert await books.places() == {}


async def test_answers_that_overlap_may_cross(books: Books) -> None:
    """A look that was asked before another was answered may show the older state; two clients do not compare notes."""
    first, seen_first = look(1, "PAYMENT_PENDING")
    keep(books, first, *look(2, "CONFIRMED"), seen_first, *look(1, "PAYMENT_PENDING", client="bob"))
    assert await books.places() == {}


async def test_a_placing_sent_again_says_what_it_said_first(books: Books) -> None:
    """The repeated answer to a placing is no look; nor is a refusal, an answer without an order or one never given."""
    refused = asked(6, key="k2", trace="t2")
    keep(
        books,
        *(*PLACED, *look(2, "CONFIRMED"), asked(3), answered(3, status=201), *look(4, "CONFIRMED")),
        *(asked(5, path="/api/orders?userId=7"), answered(5, status=200), refused, answered(6, status=422)),
        asked(7, key="k3", trace="t3"),
    )
    assert await books.places() == {}


def test_a_finding_shows_a_sample() -> None:
    """However many places are broken, a finding stays readable and says how many there are."""
    found = finding("I1", "what", [f"row {n:02}" for n in range(50)])
    assert (found.count, len(found.rows), found.rows[0]) == (50, ROWS_MAX, "row 00")
