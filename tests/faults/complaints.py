"""What the shop's processes write only where something took them by surprise: an outage must be none."""

from __future__ import annotations

import json
from typing import Any

from ecom.local import Home

SURPRISES = frozenset(
    {
        *("loop died", "batch bisected", "dead letter", "outbox record failed", "topic paused", "relay failed"),
        *("intent call failed", "intent answers not recorded", "job failed", "request failed"),
    }
)


def complaints(home: Home) -> list[dict[str, Any]]:
    """Every line of every log that tells of a surprise."""
    found = []
    for log in sorted(home.logs.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines():
            if not line.startswith("{"):
                continue
            said = json.loads(line)
            if said.get("event") in SURPRISES:
                found.append(said)
    return found
