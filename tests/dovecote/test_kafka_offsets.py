"""The bookkeeping of offsets, without a broker: whatever happens in whatever order, none ever goes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from dovecote.kafka import KafkaConsumer, Message
from dovecote.kafka import consumer as module

P = ("t", 0)


class Broker:
    """Stands where librdkafka stands: takes commits down, and answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.waits: list[bool] = []

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self.asked += [one.offset for one in offsets]
        self.waits.append(not asynchronous)

    def poll(self, _seconds: float) -> None:
        """Nothing new."""

    def position(self, places: list[TopicPartition]) -> list[TopicPartition]:
        """Something was read of each."""
        return [TopicPartition(place.topic, place.partition, 0) for place in places]

    def close(self) -> None:
        """Nothing to close."""


class Tracker:
    """A consumer whose poll thread is the test."""

    def __init__(self) -> None:
        self.consumer = KafkaConsumer(
            "127.0.0.1:1", group="g", topics=["t"], protocol="classic", on_error=lambda _: None
        )
        self.consumer._consumer.close()
        self.broker = self.consumer._consumer = Broker()

    def assign(self) -> None:
        self.consumer._assign(None, [TopicPartition(*P)])

    def revoke(self) -> None:
        self.consumer._revoke(None, [TopicPartition(*P)])

    def handle(self, offset: int) -> None:
        self.consumer.begin([at(offset)])
        self.consumer.end({P: offset + 1})

    def commit(self) -> None:
        self.consumer._commit_pending()

    def answer(self, error: int | None) -> None:
        if self.consumer._committing:
            self.consumer._committed(None if error is None else KafkaError(error), None)

    def later(self) -> None:
        self.consumer._refused_at -= module.REFUSED_SECONDS
        self.consumer._offer_again()

    def much_later(self) -> None:
        self.consumer._repeat_at -= module.REPEAT_SECONDS
        self.consumer._repeat()

    def close(self) -> None:
        self.consumer._close()
        self.consumer._executor.shutdown()


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    """A consumer that holds the partition."""
    tracker = Tracker()
    tracker.assign()
    yield tracker
    tracker.close()


def at(offset: int) -> Message:
    """A message of the partition."""
    return Message(*P, offset, None, b"", ())


def test_a_refused_position_is_offered_again_while_its_assignment_lasts(tracker: Tracker) -> None:
    """Without it, a partition that falls silent after a rebalance of others would lag for ever."""
    tracker.handle(9)
    tracker.commit()
    tracker.answer(KafkaError.ILLEGAL_GENERATION)
    tracker.commit()
    assert tracker.broker.asked == [10], "not at once"
    tracker.later()
    tracker.commit()
    assert tracker.broker.asked == [10, 10]


def test_a_position_that_stands_is_committed_again_while_its_assignment_lasts(tracker: Tracker) -> None:
    """Somebody else's late commit may have moved the group back; a partition that falls silent would lag for ever."""
    tracker.handle(9)
    tracker.commit()
    tracker.answer(None)
    tracker.much_later()
    tracker.commit()
    tracker.answer(None)
    assert tracker.broker.asked == [10, 10]
    tracker.revoke()
    tracker.assign()
    tracker.much_later()
    tracker.commit()
    assert tracker.broker.asked == [10, 10], "not under the next assignment"


def test_a_refused_position_is_forgotten_with_its_assignment(tracker: Tracker) -> None:
    """Rule 1: put out of the group, joined again: the old offset is gone."""
    tracker.handle(9)
    tracker.commit()
    tracker.answer(KafkaError.UNKNOWN_MEMBER_ID)
    tracker.revoke()
    tracker.assign()
    tracker.later()
    tracker.commit()
    assert tracker.broker.asked == [10]


def test_an_answer_that_comes_after_the_revocation_changes_nothing(tracker: Tracker) -> None:
    """The request was under way when the partition went: its refusal is not taken for the new assignment's."""
    tracker.handle(9)
    tracker.commit()
    tracker.revoke()
    tracker.assign()
    tracker.answer(KafkaError.UNKNOWN_MEMBER_ID)
    tracker.later()
    tracker.commit()
    assert tracker.broker.asked == [10]


def test_a_refused_position_never_comes_after_a_newer_one(tracker: Tracker) -> None:
    """Refused at 10, then 20 committed: 10 is not offered any more."""
    tracker.handle(9)
    tracker.commit()
    tracker.handle(19)
    tracker.answer(KafkaError.REQUEST_TIMED_OUT)
    tracker.commit()
    tracker.answer(None)
    tracker.later()
    tracker.commit()
    assert tracker.broker.asked == [10, 20]


def test_one_request_is_under_way_at_a_time(tracker: Tracker) -> None:
    """What is handled meanwhile waits, and only its newest position goes."""
    tracker.handle(9)
    tracker.commit()
    for offset in (19, 29):
        tracker.handle(offset)
        tracker.commit()
    assert tracker.broker.asked == [10]
    tracker.answer(None)
    tracker.commit()
    assert tracker.broker.asked == [10, 30]


def test_a_batch_of_an_older_assignment_is_not_committed(tracker: Tracker) -> None:
    """C13: begun before the revocation, ended after the partition came back."""
    tracker.consumer.begin([at(9)])
    tracker.consumer._idle.set()
    tracker.revoke()
    tracker.assign()
    tracker.consumer.end({P: 10})
    tracker.commit()
    assert tracker.broker.asked == []


def test_a_batch_that_was_polled_ahead_of_a_revocation_is_not_committed(tracker: Tracker) -> None:
    """C13: polled while another was in hand, begun after its partition went away and came back."""
    tracker.revoke()
    tracker.assign()
    tracker.handle(9)
    tracker.commit()
    assert tracker.broker.asked == []
    tracker.consumer._poll(1, 0)
    tracker.handle(9)
    tracker.commit()
    assert tracker.broker.asked == [10]


def test_what_is_done_is_committed_at_the_close(tracker: Tracker) -> None:
    """A graceful end commits the newest position, a refused one included."""
    tracker.handle(9)
    tracker.commit()
    tracker.answer(KafkaError.REBALANCE_IN_PROGRESS)
    tracker.close()
    assert tracker.broker.asked == [10, 10]
    assert tracker.broker.waits == [False, True]


STEPS = ["handle", "commit", "yes", "no", "later", "much later", "revoke", "batch over revoke"]


@given(st.lists(st.sampled_from(STEPS), max_size=40))
def test_offsets_of_an_assignment_never_go_back(plan: list[str]) -> None:
    """C6, C13: any order of batches, answers, revocations and time: in one assignment positions only rise.

    Between two assignments another member has gone on by five: nothing older than that may follow.
    """
    tracker = Tracker()
    tracker.assign()
    position, floor, seen = 0, 0, 0
    try:
        for step in plan:
            match step:
                case "handle":
                    tracker.handle(position)
                    position += 1
                case "commit":
                    tracker.commit()
                case "yes" | "no":
                    tracker.answer(None if step == "yes" else KafkaError.UNKNOWN_MEMBER_ID)
                case "later":
                    tracker.later()
                case "much later":
                    tracker.much_later()
                case "revoke" | "batch over revoke":
                    if step == "batch over revoke":
                        tracker.consumer.begin([at(position)])
                        tracker.consumer._idle.set()
                    tracker.revoke()
                    tracker.assign()
                    if step == "batch over revoke":
                        tracker.consumer.end({P: position + 1})
                    position += 5
                    floor = position
            for offset in tracker.broker.asked[seen:]:
                assert floor <= offset <= position
                floor = offset
            seen = len(tracker.broker.asked)
    finally:
        tracker.close()
