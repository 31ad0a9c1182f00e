"""Topics just created: a service that starts on an empty broker asks about them at once."""

from __future__ import annotations

from dovecote.kafka import Admin


async def test_new_topics_may_be_asked_about_at_once(bootstrap: str, prefix: str) -> None:
    """Created topics are described although a broker may not have heard of them yet; a second making finds them."""
    admin = Admin(bootstrap)
    names: list[str] = []
    try:
        for number in range(4):
            batch = [f"{prefix}news.{number}.{each}" for each in range(6)]
            names += batch
            assert await admin.ensure_topics(batch, partitions=2, replication=-1) == batch
            assert await admin.retention_ms(batch) > 0
        assert await admin.ensure_topics(names, partitions=2, replication=-1) == []
    finally:
        await admin.delete_topics(names)
