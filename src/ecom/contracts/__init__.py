"""The event contracts where services meet: one module per producer, one Struct per event.

`contracts/events/` (registry and JSON Schemas, kept by hand) is the source of truth; `ecom.contracts.check` and a test
compare these Structs with it. A handler that reads less may use a narrower Struct of its own with the same EVENT.
"""

from pathlib import Path

CONTRACTS = Path(__file__).resolve().parents[3] / "contracts" / "events"
