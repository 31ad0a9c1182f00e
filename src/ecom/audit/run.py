"""One audit: gather, ask, and on a live system ask again, because databases have no common snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from dovecote import Service
from ecom.audit import topiclog
from ecom.audit.evidence import Evidence, gather
from ecom.audit.finding import Finding, finding
from ecom.audit.invariants import INVARIANTS, Invariant, When
from ecom.provider import ledger

AGAIN_AFTER_SECONDS = 2.0


async def audit(services: Iterable[Service], *, bootstrap: str, book: Path | None, quiesced: bool) -> list[Finding]:
    """What is broken; nothing where all is well. ``quiesced`` also asks what holds only at rest.

    A finding counts only if it is still there two seconds later.
    """
    known = {service.blueprint.name: service for service in services}
    questions = [one for one in INVARIANTS if quiesced or one.when is When.ALWAYS]
    first = await ask(questions, await _look(known, bootstrap, book))
    if not any(first):
        return []
    await asyncio.sleep(AGAIN_AFTER_SECONDS)
    second = await ask(questions, await _look(known, bootstrap, book))
    findings = []
    for invariant, before, after in zip(questions, first, second, strict=True):
        places = {_place(row) for row in before}
        if lasting := [row for row in after if _place(row) in places]:
            findings.append(finding(invariant.name, invariant.what, lasting))
    return findings


async def ask(questions: Iterable[Invariant], evidence: Evidence) -> list[list[str]]:
    """The answer to each question, a line for each place where it is no."""
    return [await invariant.check(evidence) for invariant in questions]


async def _look(services: Mapping[str, Service], bootstrap: str, book: Path | None) -> Evidence:
    """The ledger first: what is in the database by the end was in the ledger before."""
    entries = await asyncio.to_thread(lambda: list(ledger.read(book)) if book else [])
    topics = sorted({topic for service in services.values() for topic in (*service.said, *service.heard)})
    log = await asyncio.to_thread(topiclog.read, bootstrap, topics)
    return await gather(services, entries=entries, log=log)


def _place(row: str) -> str:
    """Where a row points; the numbers behind it may have moved on between two looks."""
    return row.partition(": ")[0]
