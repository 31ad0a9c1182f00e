"""Identifiers: time-ordered UUIDs (version 7) and W3C trace ids."""

from __future__ import annotations

import hashlib
import os
import random
import re
from datetime import datetime
from functools import lru_cache
from uuid import UUID

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_ZEROS = "0" * 16
_RAND_B = (1 << 62) - 1
# Unique, not secret: seeded by the system once, where asking it for each id cost a tenth of publishing.
_source = random.Random(os.urandom(32))  # noqa: S311
# A forked process would go on with its parent's numbers: two processes, one id.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _source.seed(os.urandom(32)))


def reseed(seed: int) -> None:
    """Make the ids that follow repeatable: for simulations only."""
    _source.seed(seed)


def uuid7(at: datetime) -> UUID:
    """A version 7 UUID (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then randomness."""
    random_bits = _source.getrandbits(74)
    rand_a, rand_b = random_bits >> 62, random_bits & _RAND_B
    return UUID(int=_stamp(at) | (rand_a << 64) | rand_b)


@lru_cache(maxsize=64)  # the ids of a transaction share their moment
def _stamp(at: datetime) -> int:
    """The bits that say when, with version and variant in their places."""
    return (int(at.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62)


def new_trace_id() -> str:
    """A fresh W3C trace id: 32 hexadecimal digits."""
    return f"{_source.getrandbits(128) or 1:032x}"


def traceparent(trace_id: str) -> str:
    """The W3C header for a trace id; a foreign UUID is used without its dashes, anything else is hashed away."""
    if _is_plain(trace_id) and trace_id[:16] != _ZEROS:  # nearly all, for a fifth of what follows
        return f"00-{trace_id}-{trace_id[:16]}-01"
    plain = trace_id.replace("-", "").lower()
    if not _TRACE_ID.fullmatch(plain) or not plain.strip("0"):
        plain = hashlib.blake2b(trace_id.encode(), digest_size=16).hexdigest()
    # A 64-bit trace id padded with zeros would make a parent of zeros, which the header forbids.
    parent = plain[:16] if plain[:16].strip("0") else plain[16:]
    return f"00-{plain}-{parent}-01"


def _is_plain(trace_id: str) -> bool:
    """Whether it is 32 hexadecimal digits in lower case, a letter among them."""
    try:
        return len(trace_id) == 32 and trace_id.islower() and len(bytes.fromhex(trace_id)) == 16
    except ValueError:
        return False


def trace_id_of(header: str | None) -> str:
    """The trace id in a traceparent header, or a new one where the header is absent or malformed."""
    parts = (header or "").strip().lower().split("-")
    if len(parts) >= 4 and _TRACE_ID.fullmatch(parts[1]) and parts[1] != "0" * 32:
        return parts[1]
    return new_trace_id()
