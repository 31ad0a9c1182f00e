"""The shop's documents of its events, made of the contracts and of what live services handle: a page and AsyncAPI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dovecote.contracts.asyncapi import as_text, asyncapi
from dovecote.contracts.examples import golden
from dovecote.contracts.page import page
from dovecote.contracts.release import releases
from dovecote.contracts.sheet import Facts
from dovecote.contracts.snapshot import Snapshot
from dovecote.settings import KafkaSettings
from ecom.contracts import CONTRACTS
from ecom.contracts.check import RELEASED, ROOT, read_code

DOCS = ROOT / "docs"
COMMAND = "./ecom contracts documents"

_TITLE = "Events of the shop"
_PAGE = f"""\
Everything that the services of this shop tell each other. No service asks another what has happened, it hears of it
(the one exception: search reads the whole catalogue from product when it builds its index anew). This page is made by
`{COMMAND}` from `contracts/events` (registry, schemas, golden examples, releases) and from the
handlers of the live services; a test keeps it fresh. The same for machines: [asyncapi.json](asyncapi.json). One event
in your terminal: `./ecom contracts show order.created.v1`.

**New here?** Follow one order: [order.created.v1](#order.created.v1) is heard by payment and inventory, which answer
with [payment.authorized.v1](#payment.authorized.v1) and [inventory.reserved.v1](#inventory.reserved.v1); when both have
answered, the order service says [order.confirmed.v1](#order.confirmed.v1), and the money is taken. What may go wrong
on the way has an event, too.

**Three rules to read an event by.** Ignore fields that you do not know. Rely on the required ones of those you read,
within their bounds, and on nothing else. Expect any event twice, late, and in any order beside those of another topic.
"""
_ASYNCAPI = """\
Every event that the services of the shop say and hear. The Kafka value is an envelope; what an event says is its
`payload`. Readers are tolerant: they ignore unknown fields, in the envelope and in the payload. One key, one partition,
in order; an event may come twice, and events of different topics in any order. The same for people: events.md.
"""


def facts(contracts: Path = CONTRACTS, released: Path = RELEASED) -> Facts:
    """What is known of the shop's events; raises ContractError where the contracts cannot be read."""
    return Facts(
        contracts=Snapshot.of_folder(contracts),
        code=read_code(),
        examples=golden(contracts),
        releases=tuple((one.version, one.snapshot()) for one in releases(released)),
        partitions=KafkaSettings().partitions,
    )


def documents(known: Facts) -> Mapping[str, str]:
    """Each document's text, by the name of its file in ``docs``."""
    return {
        "events.md": page(known, title=_TITLE, about=_PAGE, folder="../contracts/events"),
        "asyncapi.json": as_text(asyncapi(known, title=_TITLE, about=_ASYNCAPI)),
    }
