"""The simulator's decisions, as pure bookkeeping."""

from datetime import UTC, datetime

import pytest

from ecom.provider.book import Book
from ecom.provider.interface import Held, Operation
from ecom.provider.ledger import Mark
from ecom.provider.wire import Order

AT = datetime(2026, 2, 3, tzinfo=UTC)
AUTHORIZE, CAPTURE, VOID, REFUND = Operation
OPERATIONS = {"a": AUTHORIZE, "c": CAPTURE, "v": VOID, "r": REFUND}


def order(key: str, amount_minor: int = 1250, currency: str = "USD") -> Order:
    return Order(key=key, reference="ord_1", amount_minor=amount_minor, currency=currency)


def play(steps: str) -> tuple[Book, int, str | None]:
    """Run operations under keys of their own; the status and reason of the last."""
    book = Book(seed=1)
    for number, step in enumerate(steps):
        reply = book.decide(OPERATIONS[step], order(f"{step}{number}"), AT).reply
    return book, reply.status, reply.reason


@pytest.mark.parametrize(
    ("steps", "status", "reason", "held"),
    [
        ("a", 200, None, Held.AUTHORIZED),
        ("ac", 200, None, Held.CAPTURED),
        ("acc", 200, None, Held.CAPTURED),
        ("av", 200, None, Held.VOIDED),
        ("avv", 200, None, Held.VOIDED),
        ("acr", 200, None, Held.REFUNDED),
        ("acrr", 200, None, Held.REFUNDED),
        ("acv", 402, "ALREADY_CAPTURED", Held.CAPTURED),
        ("avc", 402, "ALREADY_VOIDED", Held.VOIDED),
        ("ar", 402, "NOT_CAPTURED", Held.AUTHORIZED),
        ("avr", 402, "NOT_CAPTURED", Held.VOIDED),
        ("acrc", 402, "ALREADY_REFUNDED", Held.REFUNDED),
        ("acrv", 402, "ALREADY_REFUNDED", Held.REFUNDED),
        ("c", 404, "NOT_FOUND", Held.NOTHING),
        ("v", 404, "NOT_FOUND", Held.NOTHING),
        ("r", 404, "NOT_FOUND", Held.NOTHING),
    ],
)
def test_order_of_operations(steps: str, status: int, reason: str | None, held: Held) -> None:
    """Void only what is not captured, refund only what is; what is done already gets the same answer."""
    book, got, why = play(steps)
    assert (got, why, book.look_up("ord_1").held) == (status, reason, held)


def test_same_key_same_answer() -> None:
    """A repeated key moves nothing and writes nothing, whatever happened in between."""
    book = Book(seed=1)
    first = book.decide(AUTHORIZE, order("k"), AT)
    book.decide(VOID, order("v"), AT)
    again = book.decide(AUTHORIZE, order("k"), AT)
    assert again.reply == first.reply
    assert again.entry is None
    assert book.look_up("ord_1").held is Held.VOIDED


def test_same_key_other_body() -> None:
    """A key that comes back with another body is refused, and the ledger keeps both hashes for the audit."""
    book = Book(seed=1)
    first = book.decide(AUTHORIZE, order("k"), AT)
    other = book.decide(AUTHORIZE, order("k", amount_minor=9), AT)
    assert other.reply.status == 409
    assert other.entry is not None
    assert other.entry.outcome is Mark.CONFLICT
    assert first.entry is not None
    assert first.entry.request_hash != other.entry.request_hash
    assert book.decide(AUTHORIZE, order("k"), AT).reply == first.reply


@pytest.mark.parametrize(("amount_minor", "currency"), [(1249, "USD"), (1250, "EUR")])
def test_amounts_must_agree(amount_minor: int, currency: str) -> None:
    """Capture is of the whole authorization, in its currency, or of nothing."""
    book = Book(seed=1)
    book.decide(AUTHORIZE, order("a"), AT)
    reply = book.decide(CAPTURE, order("c", amount_minor, currency), AT).reply
    assert (reply.status, reply.reason) == (402, "AMOUNT_MISMATCH")
    assert book.look_up("ord_1").held is Held.AUTHORIZED


def test_second_authorization_holds_twice() -> None:
    """The simulator does not hide a double charge: another key is another authorization, for the audit to
    find.
    """
    book = Book(seed=1)
    one, two = (book.decide(AUTHORIZE, order(key), AT).entry for key in ("k1", "k2"))
    assert one is not None
    assert two is not None
    assert one.outcome is two.outcome is Mark.APPROVED
    assert one.provider_id != two.provider_id


def test_declined_authorization_is_remembered() -> None:
    """A declined card has an id too, and its key stays declined."""
    book = Book(seed=1)
    reply = book.decide(AUTHORIZE, order("k"), AT, refusal="CARD_DECLINED").reply
    assert (reply.status, reply.reason) == (402, "CARD_DECLINED")
    assert reply.provider_id
    assert book.decide(AUTHORIZE, order("k"), AT).reply == reply
    assert book.look_up("ord_1").held is Held.DECLINED


def test_rebuilt_from_its_entries() -> None:
    """A book rebuilt from the entries answers every key as before."""
    book = Book(seed=1)
    steps = [(AUTHORIZE, order("a")), (CAPTURE, order("c")), (VOID, order("v")), (REFUND, order("r"))]
    verdicts = [book.decide(operation, one, AT) for operation, one in steps]
    rebuilt = Book(seed=1)
    for verdict in verdicts:
        assert verdict.entry is not None
        rebuilt.apply(verdict.entry)
    assert [rebuilt.decide(operation, one, AT).reply for operation, one in steps] == [
        verdict.reply for verdict in verdicts
    ]
    assert rebuilt.look_up("ord_1") == book.look_up("ord_1")
