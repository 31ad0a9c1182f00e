"""Topics just created: a service that starts on an empty broker asks about them at once."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

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


async def test_what_a_group_has_committed_is_known(bootstrap: str, prefix: str) -> None:
    """Each partition that has an offset shows it, the others nothing; a group that never was has committed nothing."""
    admin, topic, group = Admin(bootstrap), f"{prefix}news", f"{prefix}readers"
    await admin.ensure_topics([topic], partitions=2, replication=-1)
    try:
        assert await admin.retention_ms([topic]) > 0  # from then on the broker knows it
        assert await admin.committed(group, [topic, f"{prefix}unknown"]) == {}
        member = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
        member.commit(offsets=[TopicPartition(topic, 1, 7)], asynchronous=False)
        member.close()
        assert await admin.committed(group, [topic, f"{prefix}unknown"]) == {(topic, 1): 7}
    finally:
        await admin.delete_topics([topic])
        await admin.delete_groups([group])
