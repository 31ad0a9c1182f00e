"""What "compatible" promises, by chance: old events decode with new readers, and new events with old ones."""

from __future__ import annotations

import copy
import json
import random
from typing import Annotated, Any

import msgspec
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from dovecote.contracts.compatibility import schema_changes
from dovecote.contracts.snapshot import Snapshot
from ecom.contracts import CONTRACTS
from tests.contracts.compatibility.corpus import sides, together
from tests.contracts.compatibility.generated import edited
from tests.contracts.compatibility.oracle import Oracle
from tests.contracts.compatibility.universe import Universe

SCHEMAS = Snapshot.of_folder(CONTRACTS).schemas
EVENTS = sorted(SCHEMAS)


def reader(schema: Any, name: str = "Read") -> Any:
    """The type that a reader of a schema would write: its fields, required or not, with the bounds that Meta knows."""
    kinds = schema.get("type", "string" if {"enum", "const"} & schema.keys() else None)
    if kinds == "object":
        required = schema.get("required", ())
        fields: list[Any] = []
        for number, (field, child) in enumerate(schema.get("properties", {}).items()):
            kind = reader(child, f"{name}{number}")
            fields.append(
                (f"f{number}", kind) if field in required else (f"f{number}", kind | msgspec.UnsetType, msgspec.UNSET)
            )
        rename = {f"f{number}": field for number, field in enumerate(schema.get("properties", {}))}
        return msgspec.defstruct(name, fields, kw_only=True, rename=rename.get)
    if kinds == "array":
        bounds = {"min_length": schema.get("minItems"), "max_length": schema.get("maxItems")}
        return Annotated[list[reader(schema.get("items", {}), name)], msgspec.Meta(**bounds)]  # type: ignore[misc]
    plain = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}
    if not isinstance(kinds, str) or "enum" in schema or "const" in schema:
        return Any
    if kinds == "string":
        bounds = {"min_length": schema.get("minLength"), "max_length": schema.get("maxLength")}
        return Annotated[str, msgspec.Meta(**bounds, pattern=schema.get("pattern"))]
    if kinds in {"integer", "number"}:
        return Annotated[plain[kinds], msgspec.Meta(ge=sayable(schema, "minimum"), le=sayable(schema, "maximum"))]
    return plain[kinds]


def sayable(schema: Any, bound: str) -> Any:
    """A bound that Meta takes; one beyond 64 bits is left to the validator, so that the Struct reads more, not less."""
    value = schema.get(bound)
    return None if value is not None and abs(value) >= 2**63 else value


@st.composite
def changed_schemas(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], int]:
    """A real schema, the same after one to three edits, and a seed for the dice."""
    schema = dict(SCHEMAS[draw(st.sampled_from(EVENTS))])
    seed = draw(st.integers(0, 2**32 - 1))
    new = copy.deepcopy(schema)
    for step in range(draw(st.integers(1, 3))):
        new, _ = edited(new, seed + step)
    return schema, new, seed


# Shrinking gains nothing: the seed in the failing pair repeats it, and the edits are small already.
@settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
@given(pair=changed_schemas())
def test_compatible_means_that_each_side_decodes_the_others_events(pair: tuple[Any, Any, int]) -> None:
    """A side that is not said to break decodes, through a Struct made of its schema, whatever the other side writes."""
    old, new, seed = pair
    broken = sides(together(schema_changes("thing.happened.v1", old, new)))
    assume(broken != {"readers", "writers"})
    instances = Universe(old, new, seed).instances()
    random.Random(seed).shuffle(instances)
    for side, writer, reading in (("readers", new, old), ("writers", old, new)):
        if side in broken:
            continue
        decoder, writes, reads = msgspec.json.Decoder(reader(reading)), Oracle(writer), Oracle(reading)
        written = [one for one in instances if writes.quickly_reads(one)]
        declared = [one for one in written[:400] if writes.declares(one)]
        assume(declared)  # some edits leave nothing to write
        for one in declared:
            assert reads.quickly_reads(one), (side, one)
            decoder.decode(json.dumps(one))
