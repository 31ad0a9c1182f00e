"""Two snapshots compared: every change of the registry and of each event's schema, with its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dovecote.contracts.compatibility.change import Change, Verdict
from dovecote.contracts.compatibility.consumers import Consumers, Field, Readers, field
from dovecote.contracts.compatibility.edit import Edit, Kind, edits, same
from dovecote.contracts.compatibility.entries import entry_changes
from dovecote.contracts.compatibility.judgement import TRIED_MAX, Answer, Question
from dovecote.contracts.compatibility.normal import Normal, Path, Schema, normal
from dovecote.contracts.compatibility.sentence import mend, what
from dovecote.contracts.compatibility.witness import text
from dovecote.contracts.snapshot import Snapshot
from dovecote.errors import ContractError

UNDECIDED = "it cannot be shown compatible"


def compare(old: Snapshot, new: Snapshot, readers: Readers) -> tuple[Change, ...]:
    """Every change from old to new, by event.

    ``readers`` are the Structs through which services read today, by service; they name who breaks, and have no say
    in the verdict, since a contract's readers are more than those in this repository. Nothing is raised for a schema
    that is broken: its event is reported as one that cannot be compared, which is breaking.
    """
    changes = list(entry_changes(old, new, readers))
    for name in old.events:
        if name in new.events:
            changes += _event_changes(name, old.schemas.get(name), new.schemas.get(name), readers)
    order = {name: at for at, name in enumerate({**old.events, **new.events})}
    return tuple(sorted(changes, key=lambda change: order[change.event]))


def schema_changes(event: str, old: Schema, new: Schema, readers: Readers | None = None) -> tuple[Change, ...]:
    """Every change of one event's schema; raises ContractError where one of the two cannot be compared."""
    return tuple(_Comparison(event, normal(old), normal(new), readers or {}).changes())


def _event_changes(event: str, old: Schema | None, new: Schema | None, readers: Readers) -> tuple[Change, ...]:
    if same(old, new):
        return ()
    hearing = Consumers(event, readers).reading(())
    wrong = f"the {'old' if old is None else 'new'} schema is missing"
    if old is not None and new is not None:
        try:
            return schema_changes(event, old, new, readers)
        except ContractError as error:
            wrong = str(error)
    sentence, fix = f"the schemas cannot be compared: {wrong}", "correct the schema, so that it can be compared"
    reads = tuple(sorted(hearing))
    return (Change(event, "", sentence, Verdict.BREAKS_BOTH, unread=not hearing, mend=fix, reads=reads),)


class _Comparison:
    """The two schemas of one event, the two questions about them, and the services that hear the event."""

    def __init__(self, event: str, old: Normal, new: Normal, readers: Readers) -> None:
        self.event, self.old, self.new = event, old, new
        self.consumers = Consumers(event, readers)
        self.for_readers = Question(new.tree, old.tree)
        self.for_writers = Question(old.tree, new.tree)

    def changes(self) -> Iterator[Change]:
        found = edits(self.old.tree, self.new.tree)
        judged = [(edit, *self._judged(edit, alone=len(found) == 1)) for edit in found]
        readers_broken, writers_broken = any(one[1].broken for one in judged), any(one[2].broken for one in judged)
        for edit, by_readers, by_writers, breaks in judged:
            yield self._change(edit, by_readers, by_writers, breaks)
        # What no edit breaks by itself, several may break together.
        left = [
            Answer(broken=False) if explained else question.answer()
            for explained, question in ((readers_broken, self.for_readers), (writers_broken, self.for_writers))
        ]
        if found and (left[0].broken or left[1].broken):
            yield self._together(found, *left)

    def _judged(self, edit: Edit, *, alone: bool) -> tuple[Answer, Answer, set[str]]:
        """The answers to both questions for one edit, and whose Structs cannot read what it brings."""
        _, path = edit.place()
        about = field(path)

        def trips(payload: Any) -> bool:
            return bool(self.consumers.refusing(payload, about))

        by_readers = self.for_readers.answer_of(edit.carried(to_new=False), trips)
        by_writers = self.for_writers.answer_of(edit.carried(to_new=True), trips)
        breaks: set[str] = set()
        if by_readers.broken:
            # The new event may differ in more; whom this edit breaks is seen in an event that has it alone.
            only = self.for_readers if alone else Question(edit.carried(to_new=True), self.old.tree)
            breaks |= self._refusing(only, about)
        if by_writers.broken:
            only = self.for_writers if alone else Question(self.old.tree, edit.carried(to_new=True))
            breaks |= self._refusing(only, about)
        return by_readers, by_writers, breaks

    def _change(self, edit: Edit, by_readers: Answer, by_writers: Answer, breaks: set[str]) -> Change:
        side, path = edit.place()
        reads = self.consumers.reading(field(path))
        missing = edit.kind in {Kind.FIELD, Kind.REQUIRED} and not edit.after
        loses = reads - breaks if missing else set()
        sentence = what(edit)
        if loses:
            sentence += f"; lost to {' and '.join(sorted(loses))}"
        sentence += _doubt(by_readers, by_writers)
        pointer = (self.new if side is edit.new else self.old).pointer(path)
        return self._made(pointer, sentence, (by_readers, by_writers), breaks, reads, loses, edit)

    def _together(self, found: list[Edit], by_readers: Answer, by_writers: Answer) -> Change:
        """The change that only all edits at once make."""
        common: Path = _common([edit.place()[1] for edit in found])
        sentence = "the changes break together what none breaks alone"
        sentence += _doubt(by_readers, by_writers)
        breaks = set()
        for question, answer in ((self.for_readers, by_readers), (self.for_writers, by_writers)):
            breaks |= self._refusing(question, field(common)) if answer.broken else set()
        reads = self.consumers.reading(field(common))
        return self._made(self.new.pointer(common), sentence, (by_readers, by_writers), breaks, reads, set(), None)

    def _made(
        self,
        pointer: str,
        sentence: str,
        answers: tuple[Answer, Answer],
        breaks: set[str],
        reads: set[str],
        loses: set[str],
        edit: Edit | None,
    ) -> Change:
        by_readers, by_writers = answers
        verdict = Verdict.of(readers=by_readers.broken, writers=by_writers.broken)
        witnesses = [text(answer.witness) for answer in answers if answer.witness is not None]
        return Change(
            event=self.event,
            pointer=pointer,
            what=sentence,
            verdict=verdict,
            breaks=tuple(sorted(breaks)),
            unread=not reads,
            witness=witnesses[0] if witnesses else None,
            mend=mend(self.event, edit, verdict, undecided=verdict.breaking and not witnesses),
            loses=tuple(sorted(loses)),
            reads=tuple(sorted(reads)),
            witness_old=witnesses[1] if len(witnesses) > 1 else None,
        )

    def _refusing(self, question: Question, about: Field) -> set[str]:
        """Whose Structs cannot be made from some event that shows the difference."""
        if not self.consumers.structs:
            return set()
        return set().union(*(self.consumers.refusing(one, about) for one in question.refused[:TRIED_MAX]))


def _doubt(by_readers: Answer, by_writers: Answer) -> str:
    """What a sentence says in addition where nothing shows a break and no proof rules it out."""
    doubted = [
        side
        for side, answer in (("readers", by_readers), ("writers", by_writers))
        if answer.broken and answer.witness is None
    ]
    return f"; for {' and '.join(doubted)} {UNDECIDED}" if doubted else ""


def _common(paths: list[Path]) -> Path:
    """The path that all of some paths begin with."""
    length = 0
    while all(len(path) > length and path[length] == paths[0][length] for path in paths):
        length += 1
    return paths[0][:length]
