"""The event contracts where services meet: one module per producer, one Struct per event.

`contracts/events/` (registry and JSON Schemas, kept by hand) is the source of truth; `ecom.contracts.check` and a test
compare these Structs with it. A handler that reads less may use a narrower Struct of its own with the same EVENT.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

CONTRACTS = Path(__file__).resolve().parents[3] / "contracts" / "events"

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment with its offset; ours are written in UTC, a reader refuses one without an offset."""
