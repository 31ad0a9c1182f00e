"""Kafka's jars: used only with the locked checksums."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ecom.local.errors import LocalError
from ecom.local.jars import fetch_jars, jar_folder, locked_jars


def small() -> list[str]:
    """The name of one small jar of the lock."""
    return ["jopt-simple"]


def test_the_lock_names_one_version_of_each_jar() -> None:
    """Every jar is locked once, with a whole sha256, and the broker is among them."""
    jars = locked_jars()
    assert len({jar.filename for jar in jars}) == len({jar.artifact for jar in jars}) == len(jars)
    assert all(len(jar.sha256) == 64 for jar in jars)
    assert "kafka_2.13-4.4.0.jar" in {jar.filename for jar in jars}


def test_a_spoiled_jar_is_fetched_again(tmp_path: Path) -> None:
    """A jar whose bytes are not the locked ones is replaced before Java sees it."""
    wanted = [jar for jar in locked_jars() if jar.artifact in small()]
    (path,) = fetch_jars(tmp_path, jars=wanted)
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    fetch_jars(tmp_path, jars=wanted)
    assert path.read_bytes() == whole


def test_a_jar_with_another_checksum_than_the_locked_one_is_refused(tmp_path: Path) -> None:
    """A jar that its repository changed is never put on the class path."""
    wanted = [replace(jar, sha256="0" * 64) for jar in locked_jars() if jar.artifact in small()]
    with pytest.raises(LocalError, match="jopt-simple.*checksum is not the locked one"):
        fetch_jars(tmp_path, jars=wanted)
    assert not list(tmp_path.glob("*.jar"))


def test_whole_jars_are_used_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all jars there, nothing is asked of the network."""
    wanted = locked_jars()[:3]
    fetch_jars(jar_folder(), jars=wanted)
    for jar in wanted:
        shutil.copy(jar_folder() / jar.filename, tmp_path)
    monkeypatch.setattr("ecom.local.jars._fetch", lambda *_: pytest.fail("fetched"))
    assert [path.name for path in fetch_jars(tmp_path, jars=wanted)] == [jar.filename for jar in wanted]
