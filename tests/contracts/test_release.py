"""Releases: what was promised stays, and a breaking change passes only as a new version beside the old one."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dovecote.contracts.gate import between, gate
from dovecote.contracts.promise import Promise
from dovecote.contracts.release import SUMS
from dovecote.contracts.snapshot import Snapshot
from dovecote.errors import ContractError
from tests.contracts.editing import edit, found
from tests.contracts.project import (
    CHOIR,
    CROWD,
    SINGER,
    V1,
    V2,
    NextTitleHeard,
    Project,
    SongSung,
    SongSungNext,
    TitleHeard,
)

OLD, NEW = "song.sung.v1", "song.sung.v2"
BOTH = [CHOIR, CROWD]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one event, released as 0.1.0."""
    project = Project(tmp_path)
    project.register((OLD, V1, BOTH))
    assert project.gate().ok
    project.release("0.1.0")
    return project


def why(project: Project, event: str = OLD) -> str:
    """Why the one breaking change of an event stops."""
    report = project.gate()
    assert [str(problem) for problem in report.problems] == []
    (stopped,) = [ruling for ruling in report.stopped if ruling.change.event == event]
    assert not report.ok
    return stopped.why


def move_on(project: Project) -> None:
    """Code and contracts with both versions, everybody hearing both."""
    project.writers = (SongSung, SongSungNext)
    project.choir = (SongSung, SongSungNext)
    project.crowd = (TitleHeard, NextTitleHeard)
    project.register((OLD, V1, BOTH), (NEW, V2, BOTH))


def drop(project: Project) -> None:
    """Code and contracts with the new version only."""
    project.writers = project.choir = (SongSungNext,)
    project.crowd = (NextTitleHeard,)
    project.register((NEW, V2, BOTH))


def test_without_a_change_nothing_stops(project: Project) -> None:
    """What was released passes, and says with what it was compared."""
    report = project.gate()
    assert (report.ok, report.rulings, report.against) == (True, (), "release 0.1.0")


def test_a_new_version_beside_the_old_one_passes_and_the_old_one_goes_a_release_later(project: Project) -> None:
    """The whole road: v2 beside v1, released together, then v1 gone, and v2 alone is what the next is compared with."""
    move_on(project)
    assert project.gate().ok
    project.release("0.2.0")
    drop(project)
    report = project.gate()
    assert report.ok
    (gone,) = [ruling for ruling in report.rulings if ruling.change.event == OLD]
    assert (gone.change.verdict.breaking, gone.stops) == (True, False)
    assert "beside the newer version" in gone.why
    project.release("0.3.0")
    assert project.gate().rulings == ()


def test_an_event_may_not_simply_go(project: Project) -> None:
    """Without a newer version there is nothing to which its readers could move."""
    project.writers = project.choir = (SongSungNext,)
    project.crowd = ()
    project.register(("song.hummed.v1", V1, []))
    project.writers, project.choir = (), ()
    assert [r.why for r in project.gate().stopped] == [
        f"no newer version of {OLD} is registered; publish {NEW} beside it first"
    ]


def test_a_rename_is_no_new_version_beside(project: Project) -> None:
    """v2 in place of v1 at once: no release had the two together."""
    drop(project)
    assert why(project) == f"no release has shipped {OLD} and {NEW} together; release both, then drop it in the next"


def test_both_versions_in_a_branch_are_not_yet_both_released(project: Project) -> None:
    """Against a ref that has both, the release still counts: only what shipped was ever published."""
    move_on(project)
    both = Promise("main", Snapshot.of_folder(project.contracts))
    drop(project)
    assert [r.why.split(";")[0] for r in project.gate(before=both).stopped] == [
        f"no release has shipped {OLD} and {NEW} together"
    ]


def test_a_consumer_that_has_not_moved_is_named(project: Project) -> None:
    """Who was registered for v1 must be registered for v2 before v1 goes, or be taken out of v1 a release before."""
    move_on(project)
    project.release("0.2.0")
    drop(project)
    project.crowd = ()
    project.register((NEW, V2, [CHOIR]))
    assert why(project) == f"{CROWD} still heard {OLD} and is no consumer of {NEW}; let it move first"
    project.writers, project.choir = (SongSung, SongSungNext), (SongSung, SongSungNext)
    project.register((OLD, V1, [CHOIR]), (NEW, V2, [CHOIR]))
    project.release("0.3.0")
    project.writers = project.choir = (SongSungNext,)
    project.register((NEW, V2, [CHOIR]))
    assert project.gate().ok


def test_each_version_needs_its_writer(project: Project) -> None:
    """A v1 that is registered beside v2 and written no more is a finding: its readers would wait for ever."""
    move_on(project)
    project.writers = (SongSungNext,)
    found(project.gate().problems, "event-contracts.json", f"/events/{OLD}", "has no Struct to write it through")


def test_a_released_event_may_not_change_in_a_breaking_way(project: Project) -> None:
    """Its schema stays; the finding says what to do instead."""
    edit(project.contracts / "schemas" / f"{OLD}.json", lambda d: d["properties"]["verse"].update(maximum=3))
    report = project.gate()
    assert report.stopped
    assert all(ruling.change.event == OLD and ruling.why for ruling in report.stopped)


def test_an_event_of_no_release_may_still_change(project: Project) -> None:
    """What never shipped was promised to nobody."""
    move_on(project)
    project.writers, project.choir, project.crowd = (SongSung,), (SongSung,), (TitleHeard,)
    project.register((OLD, V1, BOTH))
    assert project.gate().rulings == ()


def test_a_released_example_stays_for_ever(project: Project) -> None:
    """Neither gone nor changed; beside it there may be new ones."""
    example = project.contracts / "examples" / OLD / "full.json"
    content = example.read_bytes()
    (example.parent / "full-2.json").write_bytes(content)
    example.unlink()
    found(project.gate().problems, f"contracts/examples/{OLD}/full.json", "", "an example of release 0.1.0 is gone")
    example.write_bytes(content.replace(b"2", b"3"))
    found(project.gate().problems, f"contracts/examples/{OLD}/full.json", "", "an example of release 0.1.0 was changed")
    example.write_bytes(content)
    assert project.gate().ok


def test_a_released_file_that_is_changed_is_named(project: Project) -> None:
    """Whoever edits the copy to get through the gate is found by its sums; sha256sum finds him, too."""
    folder = project.released[0].folder
    subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=folder, check=True)
    edit(folder / "schemas" / f"{OLD}.json", lambda d: d["properties"]["verse"].update(maximum=3))
    found(project.gate().problems, f"released/0.1.0/{SUMS}", "", "not those whose sums it holds")
    (folder / SUMS).unlink()
    found(project.gate().problems, f"released/0.1.0/{SUMS}", "", "not those whose sums it holds")


def test_a_topic_that_moves_is_a_breaking_change(project: Project) -> None:
    """Renamed in every service, all of them still meet; what waits in the old topic, and who listens there, is lost."""
    project.topics = {"song-sung": "songs"}
    (stopped,) = project.gate().stopped
    assert (stopped.change.event, stopped.change.breaks) == (OLD, tuple(sorted(BOTH)))
    assert stopped.change.what.startswith("its topic was song.sung.v1 and is songs")


def test_a_new_kafka_key_is_a_breaking_change(project: Project) -> None:
    """The events of one song would no longer come in their order."""
    before = Promise("main", Snapshot.of_folder(project.contracts))
    before.contracts.events[OLD]["key"] = "title"  # type: ignore[index]
    edit(project.contracts / "event-contracts.json", lambda d: d["events"][OLD].update(key="verse"))
    (stopped,) = project.gate(before=before).stopped
    assert "its Kafka key was title and is verse" in stopped.change.what
    assert stopped.change.breaks == tuple(sorted(BOTH))


def test_a_schema_that_was_none_before_promised_nothing(project: Project) -> None:
    """What no service could start with is no promise; the report says that nothing was compared."""
    old = Snapshot.of_folder(project.contracts)
    broken = Snapshot(old.events, {OLD: {"type": "object", "properties": {"title": {"pattern": "("}}}})
    (ruling,) = project.gate(before=Promise("main", broken)).rulings
    assert (ruling.stops, "nothing is compared" in ruling.change.what) == (False, True)
    report = between(Promise("old", old), broken)
    found(report.problems, f"schemas/{OLD}.json", "", "not the schema of a payload object")
    assert report.rulings == ()


REFUSED = [
    ("0.1.0", "0.1.0 is released already"),
    ("0.0.9", "0.0.9 is older than 0.1.0"),
    ("v1", "'v1' is no version"),
    ("01.0.0", "no version"),
    ("../x", "no version"),
]


@pytest.mark.parametrize(("version", "sentence"), REFUSED)
def test_a_release_is_made_once_and_forward(project: Project, version: str, sentence: str) -> None:
    """Neither again, nor back, nor under a name that is no version."""
    with pytest.raises(ContractError, match=sentence):
        project.release(version)


def test_releases_are_in_the_order_of_their_numbers(project: Project) -> None:
    """0.10.0 is newer than 0.9.1, whatever the alphabet says; a folder that is no version is an error."""
    for version in ("0.9.1", "0.10.0"):
        project.release(version)
    assert [one.version for one in project.released] == ["0.1.0", "0.9.1", "0.10.0"]
    shutil.copytree(project.root / "released" / "0.1.0", project.root / "released" / "next")
    with pytest.raises(ContractError, match="'next' is no version"):
        project.gate()


def test_an_unread_field_may_break_where_that_is_allowed(project: Project) -> None:
    """Only with the flag, and only where the code of every registered consumer is here to be asked."""
    project.choir = (TitleHeard,)
    edit(project.contracts / "schemas" / f"{OLD}.json", lambda d: d["properties"]["verse"].update(maximum=3))
    project.register((OLD, {**V1, "verse": {"type": "integer", "maximum": 3}}, BOTH))
    assert not project.gate().ok
    report = project.gate(allow_unread=True)
    assert report.stopped == ()
    code = replace(project.code, readers={SINGER: (), CHOIR: (TitleHeard,)}, topics={}, elsewhere=frozenset({CROWD}))
    report = gate(project.contracts, code, released=project.released, allow_unread=True)
    assert [ruling.who for ruling in report.stopped] == [f"perhaps {CHOIR}, {CROWD}"]
