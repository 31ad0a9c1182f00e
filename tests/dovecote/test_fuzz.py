"""Bytes that nobody meant: whatever a message value holds, it ends as a delivery or as a sentence, never worse."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest

from dovecote.database import Database
from dovecote.kafka import Message
from dovecote.reading import Reader
from dovecote.sql import Sql
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import Echo, EchoBench, Ping, fresh, prepared

LETTERS = Sql("SELECT count(*) FROM dead_letter")
EFFECTS = Sql("SELECT count(*) FROM effect")
SHARE = 250
FEW, MANY = 4_000, 100_000


@pytest.fixture(scope="module")
async def database(embedded: Servers, sample_template: str) -> AsyncIterator[Database]:
    """One database for the module."""
    async with new_database(embedded.database_url, template=sample_template) as url, prepared(url) as database:
        yield database


@pytest.fixture
async def bench(database: Database) -> EchoBench:
    """The echo service with empty tables."""
    return await fresh(database)


def good(dice: random.Random) -> bytes:
    """An event as it should be."""
    event_id = UUID(int=dice.getrandbits(128), version=4)
    payload = {"n": dice.randrange(-(2**62), 2**62), "mood": dice.choice(["fine", "park", "\u2028", "🍵"])}
    return json.dumps({"eventId": str(event_id), "eventType": Ping.EVENT, "payload": payload}).encode()


def replaced(dice: random.Random, value: bytes) -> bytes:
    """Some bytes changed, lost or put in."""
    spoilt = bytearray(value)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(spoilt) + 1)
        spoilt[at : at + dice.randint(0, 4)] = dice.randbytes(dice.randint(0, 4))
    return bytes(spoilt)


def odd_number(dice: random.Random, value: bytes) -> bytes:
    """A number where the number stands that no number should be."""
    odd = dice.choice(
        [b"NaN", b"-Infinity", b"1e400", b"9" * dice.choice([19, 40, 5_000]), b"-0", b"1.5", b"1e3", b"01"]
    )
    start = value.index(b'"n": ') + 5
    return value[:start] + odd + value[value.index(b",", start) :]


def nested(dice: random.Random, value: bytes) -> bytes:
    """Brackets, some never closed, some ten thousand deep, beside the payload or in its place."""
    depth = dice.choice([3, 200, 10_000])
    opening, closing = dice.choice([(b"[", b"]"), (b'{"a":', b"}")])
    knot = opening * depth + b"1" + closing * dice.choice([0, depth])
    return dice.choice(
        [value[:-1] + b', "x": ' + knot + b"}", value.replace(b'"payload": {', b'"payload": ' + knot, 1)]
    )


def doubled(dice: random.Random, value: bytes) -> bytes:
    """The same key twice, with another thing under it."""
    key = dice.choice([b"eventId", b"eventType", b"payload"])
    return value[:-1] + b', "' + key + b'": ' + dice.choice([b"null", b"1", b'"x"', b"{}", b"[]"]) + b"}"


def in_other_letters(dice: random.Random, value: bytes) -> bytes:
    """Another encoding, lone surrogates, NULs."""
    text = value.decode()
    return dice.choice(
        [
            text.encode("utf-16"),
            text.encode("utf-7"),
            value.replace(b"fine", b"\\ud800"),
            value.replace(b"fine", b"\x00"),
            value.replace(b"fine", b"\xc3\x28"),
            b"\xef\xbb\xbf" + value,
            value.replace(b"ping", b"p\\u0000ing"),
        ]
    )


SPOILERS: list[Callable[[random.Random, bytes], bytes]] = [replaced, odd_number, nested, doubled, in_other_letters]


def payload(dice: random.Random) -> bytes | None:
    """One value of a message: good now and then, spoilt in one way or in several, or noise."""
    kind = dice.random()
    if kind < 0.1:
        return dice.choice([None, b"", dice.randbytes(dice.randint(0, 200))])
    value = good(dice)
    if kind < 0.25:
        return value
    for spoil in dice.sample(SPOILERS, dice.choice([1, 1, 1, 2])):
        try:
            value = spoil(dice, value)
        except (ValueError, UnicodeDecodeError):  # spoilt so far that this one finds no hold in it
            continue
    return value


@pytest.mark.parametrize("number", [FEW, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_reading_thousands_of_payloads_never_raises(number: int) -> None:
    """C11: non-UTF-8, nulls, doubled keys, NaN, 1e400, 5,000 digits, 10,000 brackets: a delivery or a reason."""
    dice = random.Random(number)
    reader = Reader(Echo().handlers, value_bytes_max=1_000_000)
    read = [reader.read(Message("t", 0, n, None, payload(dice), ())) for n in range(number)]
    assert all((one.delivery is None) == bool(one.error) for one in read)
    deliveries = sum(one.delivery is not None for one in read)
    assert number / 10 < deliveries < number * 9 / 10, "neither all good nor all bad"


@pytest.mark.parametrize("number", [500, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
async def test_each_payload_has_its_effect_or_its_letter(bench: EchoBench, number: int) -> None:
    """C11: through the real inbox: no payload stops the batch, and effects and letters together are all of them."""
    dice = random.Random(number)
    letters_before = effects_before = 0
    for _ in range(0, number, SHARE):
        polled = [bench.raw(Ping.EVENT, payload(dice)) for _ in range(SHARE)]
        await bench.deliver(*polled)
        letters = await bench.database.fetchval(LETTERS)
        effects = await bench.database.fetchval(EFFECTS)
        assert letters - letters_before + effects - effects_before == SHARE
        letters_before, effects_before = letters, effects
