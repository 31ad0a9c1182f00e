"""A producer that is not ours: Debian's kcat, which shares no code and no opinion with the library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

BYTES_MAX = 3_000_000


@dataclass(frozen=True)
class Kcat:
    """The program, and the broker it speaks to; keys are placed as Java's client places them."""

    program: str
    bootstrap: str

    async def send(self, topic: str, *messages: tuple[str, bytes | None]) -> None:
        """Produce (key, value) pairs in this order; a value of None is Kafka's null."""
        lines = [key.encode() + b"\t" + (value or b"") for key, value in messages]
        process = await asyncio.create_subprocess_exec(
            *(self.program, "-P", "-b", self.bootstrap, "-t", topic, "-K", "\t", "-Z", "-z", "gzip"),
            *("-X", "topic.partitioner=murmur2_random", "-X", f"message.max.bytes={BYTES_MAX}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate(b"\n".join([*lines, b""]))
        assert process.returncode == 0, said.decode(errors="replace")


def event(event_type: str, payload: object, *, event_id: str | None = None, **envelope: Any) -> bytes:
    """An event as another system writes it: the envelope by hand, whatever it is asked to hold."""
    return json.dumps(
        {
            "eventId": event_id or str(uuid4()),
            "eventType": event_type,
            "occurredAt": "2026-02-03T04:05:06.789Z",
            "producer": "foreign-order-service",
            "schemaVersion": event_type.rsplit(".", 1)[-1],
            "traceId": str(uuid4()),
            "payload": payload,
            **envelope,
        }
    ).encode()


def bare_order(order_id: str, quantities: Mapping[str, int]) -> dict[str, Any]:
    """The least an order can say of itself: its id, and how much of which SKU."""
    return {"orderId": order_id, "items": [{"sku": sku, "quantity": each} for sku, each in quantities.items()]}


def full_order(order_id: str, quantities: Mapping[str, int], *, user_id: int = 1) -> dict[str, Any]:
    """An order as the original system writes it, at 2.50 a unit."""
    items = [{"productId": sku, "sku": sku, "quantity": each, "unitPrice": "2.50"} for sku, each in quantities.items()]
    return {
        "orderId": order_id,
        "userId": user_id,
        "currency": "EUR",
        "status": "CREATED",
        "items": items,
        "createdAt": "2026-02-03T04:05:06.789123456Z",
    }
