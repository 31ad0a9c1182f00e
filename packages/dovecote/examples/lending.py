"""The contract gate of a project with two services: it checks, compares with the newest release, and may release."""

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Literal

from dovecote import Delivery, Event, Handlers, Transaction
from dovecote.contracts.code import Code, heard
from dovecote.contracts.gate import gate
from dovecote.contracts.release import release, releases
from dovecote.contracts.report import as_text

HERE = Path(__file__).resolve().parent / "lending"
handlers = Handlers()  # of the reminder service


class BookLent(Event, frozen=True):
    EVENT = "book.lent.v1"
    book: str
    borrower: int
    due: date


class BookReturned(Event, frozen=True):
    EVENT = "book.returned.v1"
    book: str
    state: Literal["GOOD", "WORN"] | None = None


class BookDue(Event, frozen=True):  # what the reminder service reads of book.lent.v1
    EVENT = "book.lent.v1"
    book: str
    due: date


async def remind(tx: Transaction, news: Sequence[Delivery[BookDue] | Delivery[BookReturned]]) -> None: ...


handlers.on(BookDue)(remind)
handlers.on(BookReturned)(remind)

writers = {"lending-service": (BookLent, BookReturned)}
readers = {"reminder-service": heard(handlers)}  # asked of the live registry
report = gate(HERE / "contracts", Code(writers, readers, root=HERE.parent), released=releases(HERE / "released"))
print(as_text(report))
if report.ok and sys.argv[1:2] == ["release"]:
    release(sys.argv[2], HERE / "contracts", HERE / "released")
sys.exit(0 if report.ok else 1)
