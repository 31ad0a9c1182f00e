"""`ecom contracts show`, `example`, `documents`: what a person types, and bad input as one line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dovecote.contracts import Contracts
from dovecote.envelope import decode
from dovecote.kafka import Admin
from ecom.contracts import CONTRACTS

ECOM = (sys.executable, "-P", "-m", "ecom.cli")
# All commands in one process: starting it takes longer than all of them.
DRIVER = """
import json, sys
from typer.testing import CliRunner
from ecom.cli import app
ran = {}
for name, argv in json.load(sys.stdin).items():
    done = CliRunner().invoke(app, argv)
    surprise = "" if done.exception is None or isinstance(done.exception, SystemExit) else repr(done.exception)
    ran[name] = [done.exit_code, done.stdout, done.stderr + surprise]
json.dump(ran, sys.stdout)
"""
CREATED = "order.created.v1"


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


def contracts(**commands: Sequence[str]) -> Mapping[str, Ran]:
    """Run `ecom contracts` with each of these arguments."""
    argv = {name: ["contracts", *arguments] for name, arguments in commands.items()}
    done = subprocess.run(
        [sys.executable, "-P", "-c", DRIVER],
        input=json.dumps(argv),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return {name: Ran(*ran) for name, ran in json.loads(done.stdout).items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for documents of its own; one file of it was changed by hand."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def ran(folder: Path) -> Mapping[str, Ran]:
    """Every command that is asked about below."""
    stale = folder / "stale"
    stale.mkdir()
    (stale / "events.md").write_bytes(b"\xff changed by hand")
    (folder / "file").touch()
    return contracts(
        show=["show", CREATED],
        alias=["show", "notification.dead-letter.v1"],
        unheard=["show", "notification.dlq.v1"],
        as_json=["show", CREATED, "--json"],
        typo=["show", "order.creatd.v1"],
        strange=["show", "x\x00\udcff[/red]".encode(errors="replace").decode()],
        payload=["example", CREATED],
        minimal=["example", CREATED, "--name", "minimal"],
        envelope=["example", CREATED, "--envelope"],
        again=["example", CREATED, "--envelope"],
        keyed=["example", CREATED, "--envelope", "--key"],
        no_example=["example", CREATED, "--name", "../../order.confirmed.v1/full"],
        no_event=["example", "nothing.v1"],
        bare_key=["example", CREATED, "--key"],
        no_argument=["show"],
        fresh=["documents", "--check"],
        check_stale=["documents", "--check", "--to", str(stale)],
        written=["documents", "--to", str(folder / "new")],
        check_new=["documents", "--check", "--to", str(folder / "new")],
        no_folder=["documents", "--to", str(folder / "file")],
    )


def test_show_tells_all_of_an_event(ran: Mapping[str, Ran]) -> None:
    """Who says, who hears, key, topic, fields in plain words, the example, the history."""
    done = ran["show"]
    assert (done.code, done.err) == (0, "")
    for words in ("order-service", "payment-service, inventory-service", "orderId", "items[].unitPrice", "full.json"):
        assert words in done.out
    for words in ("decimal number, as text", "matches ^[A-Za-z]{3}$", "1 to 2147483647", "history", '"currency"'):
        assert words in done.out


def test_show_tells_second_names_and_events_that_nobody_hears(ran: Mapping[str, Ran]) -> None:
    """An alias is said to be one, on the other's topic; no hearers is a word and not an empty place."""
    assert "notification.dlq.v1: accepted, and never written here" in ran["alias"].out
    assert "nobody" in ran["unheard"].out


def test_show_as_json_is_the_contract(ran: Mapping[str, Ran]) -> None:
    """One JSON object: the registry's entry, the schema as its file has it, the golden payloads, who reads what."""
    told: dict[str, Any] = json.loads(ran["as_json"].out)
    entry = Contracts.load(CONTRACTS).entry(CREATED)
    assert told["schema"] == entry.schema
    assert [one["service"] for one in told["hearers"] if one["registered"]] == list(entry.consumers)
    assert all(one["handles"] and one["reads"] for one in told["hearers"])
    golden = sorted((CONTRACTS / "examples" / CREATED).glob("*.json"))
    assert told["examples"] == {path.stem: json.loads(path.read_bytes()) for path in golden}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("typo", "'order.creatd.v1' is no registered event; near to it: order.created.v1"),
        ("strange", "is no registered event; there are "),
        ("no_event", "is no registered event"),
        ("no_example", f"There is no examples/{CREATED}/../../order.confirmed.v1/full.json beside the registry; there"),
        ("bare_key", "add --envelope"),
        ("no_folder", "cannot be written"),
    ],
)
def test_bad_input_is_one_line(ran: Mapping[str, Ran], name: str, words: str) -> None:
    """Exit 1, nothing on standard output, one line that says what to do; no traceback and no surprise."""
    done = ran[name]
    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert len(done.err.splitlines()) == 1


def test_a_missing_argument_is_told_by_the_usage(ran: Mapping[str, Ran]) -> None:
    """Exit 2 and the usage."""
    assert ran["no_argument"].code == 2
    assert "Missing argument 'event'" in ran["no_argument"].err


def test_an_example_is_the_golden_payload(ran: Mapping[str, Ran]) -> None:
    """The fullest one where none is named."""
    for command, name in (("payload", "full"), ("minimal", "minimal")):
        golden = (CONTRACTS / "examples" / CREATED / f"{name}.json").read_bytes()
        assert json.loads(ran[command].out) == json.loads(golden)


def test_an_envelope_is_one_line_and_a_new_event(ran: Mapping[str, Ran]) -> None:
    """The Kafka value as our reader takes it: the same payload each time under an id of its own."""
    first, second = (decode(ran[name].out.encode()) for name in ("envelope", "again"))
    assert ran["envelope"].out.count("\n") == 1
    assert first.event_type == CREATED
    assert first.producer == "order-service"
    assert first.version_clash() is None
    assert bytes(first.payload) == bytes(second.payload)
    assert first.event_id != second.event_id
    key, value = ran["keyed"].out.split("\t")
    assert key == json.loads(value)["payload"]["orderId"]


def test_documents_are_written_and_checked(ran: Mapping[str, Ran], folder: Path) -> None:
    """Those of the repository are fresh; one changed by hand and one missing are stale; what was written is fresh."""
    assert ran["fresh"].code == 0
    assert ran["fresh"].out.splitlines() == ["docs/events.md  fresh", "docs/asyncapi.json  fresh"]
    assert ran["check_stale"].code == 1
    assert ran["check_stale"].out.count("stale: run ./ecom contracts documents") == 2
    assert not (folder / "stale" / "asyncapi.json").exists()
    assert (ran["written"].code, ran["check_new"].code) == (0, 0)
    assert json.loads((folder / "new" / "asyncapi.json").read_bytes())["asyncapi"] == "3.0.0"


async def test_an_example_is_piped_into_kcat(kcat: str, bootstrap: str, prefix: str) -> None:
    """`ecom contracts example … --envelope --key | kcat -P` puts a whole event under its key on Kafka."""
    topic = f"{prefix}{CREATED}"
    await Admin(bootstrap).ensure_topics([topic], partitions=1, replication=1)
    line = await _output((*ECOM, "contracts", "example", CREATED, "--envelope", "--key"))
    await _output((kcat, "-P", "-b", bootstrap, "-t", topic, "-K", "\t"), line)
    got = await _output((kcat, "-C", "-b", bootstrap, "-t", topic, "-e", "-q", "-f", "%k\t%s\n"))
    assert got == line
    assert decode(got.split(b"\t")[1]).event_type == CREATED


async def _output(argv: Sequence[str], given: bytes = b"") -> bytes:
    """What a program prints, which must end well."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    said, _ = await process.communicate(given)
    assert process.returncode == 0
    return said
