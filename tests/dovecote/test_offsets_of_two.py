"""Two members and one partition: whatever is lost, late or refused, the group never goes back nor ahead of the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from dovecote.kafka import KafkaConsumer, Message
from dovecote.kafka import consumer as module

P = ("t", 0)


class Group:
    """The coordinator as Kafka is: it takes any offset of whoever is a member now, a lower one too."""

    def __init__(self) -> None:
        self.generation = 0
        self.committed = 0
        self.handled = 0  # every message below has had its transaction, whoever handled it
        self.members: dict[str, Member] = {}

    def rebalance(self, owner: Member, *, told: bool) -> None:
        """The partition goes to one member; the other hears so at once, or first goes on as if it held it still."""
        self.generation += 1
        for member in self.members.values():
            if member is not owner:
                member.lose(told=told)
        owner.gain()


class Member:
    """A consumer whose client is the test: what it asks waits for an answer."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.generation = -1
        self.position: int | None = None
        self.asked: list[tuple[int, int]] = []
        self.consumer = KafkaConsumer(
            "127.0.0.1:1", group="g", topics=["t"], protocol="classic", on_error=lambda _: None, client=self._client
        )

    def _client(self, *_: Any, **__: Any) -> Member:
        return self

    def subscribe(self, *_: Any, **__: Any) -> None:
        """Joining is the test's."""

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        """A request leaves with the generation that the member knows now."""
        self.asked += [(self.generation, one.offset) for one in offsets]
        if not asynchronous:
            self.answer(lost=False)

    def close(self) -> None:
        """Leaving is the test's."""

    def gain(self) -> None:
        """Whoever joins has first been told what it lost."""
        self.hear_of_the_loss()
        self.generation = self.group.generation
        self.position = self.group.committed
        self.consumer._assign(None, [TopicPartition(*P)])

    def lose(self, *, told: bool) -> None:
        if told:
            self.hear_of_the_loss()

    def hear_of_the_loss(self) -> None:
        if self.position is not None:
            self.position = None
            self.consumer._revoke(None, [TopicPartition(*P)])

    def handle(self) -> None:
        """A batch of three; a zombie handles too, and the inbox makes its effects nobody's second."""
        if self.position is None:
            return
        first, self.position = self.position, self.position + 3
        self.consumer.begin([Message(*P, offset, None, b"", ()) for offset in range(first, self.position)])
        if first <= self.group.handled:
            self.group.handled = max(self.group.handled, self.position)
        self.consumer.end({P: self.position})

    def work(self) -> None:
        """A batch with all that follows when nothing goes wrong."""
        self.handle()
        self.consumer._commit_pending()
        self.answer(lost=False)

    def answer(self, *, lost: bool) -> None:
        """The coordinator decides on the oldest request; its answer may be lost on the way back."""
        if not self.asked:
            return
        generation, offset = self.asked.pop(0)
        accepted = generation == self.group.generation
        if accepted:
            assert self.group.committed <= offset <= self.group.handled
            self.group.committed = offset
        error = KafkaError.REQUEST_TIMED_OUT if lost else None if accepted else KafkaError.ILLEGAL_GENERATION
        if self.consumer._committing:
            self.consumer._committed(None if error is None else KafkaError(error), None)

    def later(self) -> None:
        self.consumer._refused_at -= module.REFUSED_SECONDS
        self.consumer._offer_again()
        self.consumer._commit_pending()

    def settle(self, *, lost: bool = False) -> None:
        """Ask for whatever may be asked for, and hear the answer or not."""
        self.consumer._commit_pending()
        self.answer(lost=lost)


# What can happen, to whoever holds the partition and to the other, who may believe that he does.
STEPS: dict[str, Callable[[Group, Member, Member], None]] = {
    "holder works": lambda _g, holder, _o: holder.work(),
    "holder handles": lambda _g, holder, _o: holder.handle(),
    "holder commits": lambda _g, holder, _o: holder.settle(),
    "holder commits, the answer is lost": lambda _g, holder, _o: holder.settle(lost=True),
    "holder asks": lambda _g, holder, _o: holder.consumer._commit_pending(),
    "holder offers again": lambda _g, holder, _o: holder.later(),
    "other handles": lambda _g, _h, other: other.handle(),
    "other asks": lambda _g, _h, other: other.consumer._commit_pending(),
    "other is answered": lambda _g, _h, other: other.answer(lost=False),
    "other offers again": lambda _g, _h, other: other.later(),
    "changes hands": lambda group, _h, other: group.rebalance(other, told=True),
    "changes hands unheard": lambda group, _h, other: group.rebalance(other, told=False),
}


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=20, max_size=80))
def test_a_group_of_two_never_goes_back_nor_ahead(plan: list[str]) -> None:
    """C1, C6, C13, I15: rebalances heard late, zombies that commit, lost answers, offers made again.

    A request of an older generation is refused, one of the present is taken whatever it says: that it never says less
    than what is committed, nor more than what has been handled, is the members' own doing.
    """
    group = Group()
    one, other = Member(group), Member(group)
    group.members = {"one": one, "other": other}
    group.rebalance(one, told=True)
    try:
        for step in plan:
            holder = one if one.generation == group.generation else other
            STEPS[step](group, holder, other if holder is one else one)
    finally:
        for member in (one, other):
            member.consumer._executor.shutdown()
