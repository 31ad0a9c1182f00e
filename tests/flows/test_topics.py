"""What stands on the wire: a renamed topic, keys, headers, and the partition that Java's clients would choose."""

from __future__ import annotations

import asyncio

import pytest

from dovecote import ids
from dovecote.kafka import Admin
from dovecote.testing import drained
from ecom.local import Servers
from tests.flows.market import Event, Market, new_sku, new_user, open_market
from tests.flows.stories import STORIES, play

RENAMED = "shop.orders"


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_javas(key: bytes, hashed: int) -> None:
    """The yardstick of the next tests gives the values that Kafka's own tests of its Java client expect."""
    assert murmur2(key) == hashed % 2**32


async def test_a_renamed_topic_carries_the_same_events(embedded: Servers) -> None:
    """With one topic renamed by its key, all goes as before: its events lie elsewhere and call themselves the same."""
    async with open_market(embedded, {"APP_KAFKA_TOPICS_ORDERCREATED": RENAMED}) as market:
        order_id = await play(market, STORIES[0])
        renamed = market.prefix + RENAMED
        assert [event.type for event in await market.events(order_id) if event.record.topic == renamed] == [
            "order.created.v1"
        ]
        topics = await Admin(embedded.bootstrap).topics()
        assert renamed in topics
        assert market.prefix + "order.created.v1" not in topics


async def test_keys_headers_and_partitions(market: Market) -> None:
    """Each event of an order lies under the order's id, where murmur2 puts it, and its headers name its story."""
    sku, user_id, trace_id = new_sku(), new_user(), ids.new_trace_id()
    await market.shelve(sku, 100)
    order_ids = [await market.place(sku, 1, user_id=user_id, trace_id=trace_id) for _ in range(8)]
    await asyncio.gather(*(market.until(order_id, "CONFIRMED") for order_id in order_ids))
    await drained(market.database("order"))
    topics = await Admin(market.servers.bootstrap).topics()
    events = [event for event in await market.events() if event.order_id in order_ids]
    for event in events:
        record = event.record
        assert record.key == event.order_id.encode()
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % topics[record.topic]
        assert headers(event)["content-type"] == "application/json"
        assert headers(event)["traceparent"].split("-")[1] == event.envelope["traceId"] == trace_id
    assert len({event.record.partition for event in events}) > 1
    for order_id in order_ids:
        said = {event.type: headers(event)["aggregate-sequence"] for event in events if event.order_id == order_id}
        assert said["order.created.v1"] == said["payment.authorized.v1"] == said["inventory.reserved.v1"] == "1"
        assert said["order.confirmed.v1"] == "2"


def headers(event: Event) -> dict[str, str]:
    """The headers of an event, each once."""
    pairs = [(name, (value or b"").decode()) for name, value in event.record.headers]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def murmur2(data: bytes) -> int:
    """The hash of Java's DefaultPartitioner as an unsigned number, from its definition and not from librdkafka."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
