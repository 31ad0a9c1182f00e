"""Kafka's classes ahead of time: made once, used by every broker, and missed by nobody where they cannot be made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ecom.local import aot, kafka
from ecom.local.jars import fetch_jars
from ecom.local.place import temporary_home


def command_of(pid: int) -> list[str]:
    """The command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The jars in a folder of their own, where no cache lies."""
    for jar in fetch_jars():
        shutil.copy(jar, tmp_path)
    monkeypatch.setattr("ecom.local.jars.jar_folder", lambda: tmp_path)
    return tmp_path


async def test_the_first_broker_makes_the_cache_and_the_next_ones_use_it(folder: Path) -> None:
    """Java maps the file that it was given; of the broker that made it nothing is left but its log."""
    (folder / "kafka-of-other-jars.aot").touch()
    (folder / "kafka-of-a-killed-launcher.draft").touch()
    with temporary_home() as home, home.hold():
        broker = await kafka.start_kafka(home)
        try:
            [cache] = folder.glob("*.aot")
            assert f"-XX:AOTCache={cache}" in command_of(broker.record.pid)
            assert str(cache) in Path(f"/proc/{broker.record.pid}/maps").read_text()
            assert not (home.path / kafka.TRAINING).exists()
            assert not list(folder.glob("*.draft"))
        finally:
            await broker.stop()


async def test_a_broker_starts_where_no_cache_can_be_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Java that writes no cache is asked for one once in an environment, and never given an empty one."""
    monkeypatch.setattr(aot, "watched", lambda _: ["-XX:NoSuchOption"])
    with temporary_home() as home, home.hold():
        for _ in range(2):
            broker = await kafka.start_kafka(home)
            assert not [part for part in command_of(broker.record.pid) if "AOT" in part]
            await broker.stop()
            monkeypatch.setattr(kafka, "_train", None)  # not again
    [cache] = folder.glob("*.aot")
    assert cache.stat().st_size == 0


def test_other_jars_have_another_cache(tmp_path: Path) -> None:
    """A cache is only good for the very files that it was made of."""
    jar, program = tmp_path / "a.jar", tmp_path / "java"
    jar.touch()
    program.touch()
    before = aot.cache_of([jar], program)
    jar.write_text("changed")
    assert aot.cache_of([jar], program) != before
