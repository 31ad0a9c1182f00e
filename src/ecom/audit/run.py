"""One audit: gather, ask, and on a live system ask again, because databases have no common snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from dovecote import Service
from dovecote.kafka import Admin
from ecom.audit import topiclog, vitals
from ecom.audit.evidence import Evidence, Given, gather
from ecom.audit.finding import Finding, finding
from ecom.audit.invariants import INVARIANTS, Invariant, When
from ecom.audit.vitals import Vitals
from ecom.provider import ledger

AGAIN_AFTER_SECONDS = 2.0
# Two looks at what may only grow are at least so far apart.
APART_SECONDS = 1.0


async def audit(
    services: Iterable[Service], *, bootstrap: str, book: Path | None, quiesced: bool, given: Given | None = None
) -> list[Finding]:
    """What is broken; nothing where all is well. ``quiesced`` also asks what holds only at rest.

    A finding counts only if it is still there two seconds later: each source was read at a moment of its own.
    """
    known = {service.blueprint.name: service for service in services}
    looker = _Looker(known, bootstrap, book, given or Given())
    questions = [one for one in INVARIANTS if quiesced or one.when is When.ALWAYS]
    await looker.feel()
    first = await ask(questions, await looker.look())
    if not any(first):
        return []
    await asyncio.sleep(AGAIN_AFTER_SECONDS)
    second = await ask(questions, await looker.look())
    findings = []
    for invariant, before, after in zip(questions, first, second, strict=True):
        places = {_place(row) for row in before}
        if lasting := [row for row in after if _place(row) in places]:
            findings.append(finding(invariant.name, invariant.what, lasting))
    return findings


async def ask(questions: Iterable[Invariant], evidence: Evidence) -> list[list[str]]:
    """The answer to each question, a line for each place where it is no."""
    return [await invariant.check(evidence) for invariant in questions]


@dataclass
class _Looker:
    """Gathers evidence; what may only grow is remembered from look to look."""

    services: Mapping[str, Service]
    bootstrap: str
    book: Path | None
    given: Given
    felt: list[Vitals] = field(default_factory=list)
    felt_at: float = 0.0

    def __post_init__(self) -> None:
        self.admin = Admin(self.bootstrap)

    async def feel(self) -> None:
        """Take the vitals."""
        self.felt.append(await vitals.read(self.services.values(), self.admin))
        self.felt_at = asyncio.get_running_loop().time()

    async def look(self) -> Evidence:
        """The ledger first: what is in the database by the end was in the ledger before."""
        entries = await asyncio.to_thread(lambda: list(ledger.read(self.book)) if self.book else [])
        log = await asyncio.to_thread(topiclog.read, self.bootstrap, self._topics(), since_ms=self._remembered_ms())
        await asyncio.sleep(max(0.0, self.felt_at + APART_SECONDS - asyncio.get_running_loop().time()))
        await self.feel()
        return await gather(self.services, entries=entries, log=log, vitals=self.felt, given=self.given)

    def _topics(self) -> Sequence[str]:
        return sorted({topic for service in self.services.values() for topic in (*service.said, *service.heard)})

    def _remembered_ms(self) -> int:
        """Since when every inbox remembers what it heard."""
        each = self.services.values()
        began = [one.database.now - one.blueprint.app.cleanup.dedup_retention for one in each]
        return round((max(began) + timedelta(minutes=1)).timestamp() * 1000)


def _place(row: str) -> str:
    """Where a row points; the numbers behind it may have moved on between two looks."""
    return row.partition(": ")[0]
