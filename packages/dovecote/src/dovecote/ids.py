"""Identifiers: time-ordered UUIDs (version 7) and W3C trace ids."""

from __future__ import annotations

import hashlib
import os
import random
import re
from datetime import datetime
from uuid import UUID

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
# Unique, not secret: seeded by the system once, where asking it for each id cost a tenth of publishing.
_source = random.Random(os.urandom(32))  # noqa: S311
# A forked process would go on with its parent's numbers: two processes, one id.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _source.seed(os.urandom(32)))


def uuid7(at: datetime) -> UUID:
    """A version 7 UUID (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then randomness."""
    milliseconds = int(at.timestamp() * 1000)
    rand_a, rand_b = _source.getrandbits(12), _source.getrandbits(62)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (rand_a << 64) | (2 << 62) | rand_b)


def new_trace_id() -> str:
    """A fresh W3C trace id: 32 hexadecimal digits."""
    return f"{_source.getrandbits(128) or 1:032x}"


def traceparent(trace_id: str) -> str:
    """The W3C header for a trace id; a foreign UUID is used without its dashes, anything else is hashed away."""
    plain = trace_id.replace("-", "").lower()
    if not _TRACE_ID.fullmatch(plain) or not plain.strip("0"):
        plain = hashlib.blake2b(trace_id.encode(), digest_size=16).hexdigest()
    # A 64-bit trace id padded with zeros would make a parent of zeros, which the header forbids.
    parent = plain[:16] if plain[:16].strip("0") else plain[16:]
    return f"00-{plain}-{parent}-01"


def trace_id_of(header: str | None) -> str:
    """The trace id in a traceparent header, or a new one where the header is absent or malformed."""
    parts = (header or "").strip().lower().split("-")
    if len(parts) >= 4 and _TRACE_ID.fullmatch(parts[1]) and parts[1] != "0" * 32:
        return parts[1]
    return new_trace_id()
