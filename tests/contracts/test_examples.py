"""Golden examples: each is valid, understood by every Struct, and there is a minimal and a full one of each event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
import pytest

from dovecote.contracts.check import check
from dovecote.contracts.code import Code
from dovecote.contracts.examples import golden, refusal
from dovecote.events import Event
from ecom.contracts import CONTRACTS
from ecom.contracts.order import OrderCreated
from tests.contracts.editing import Break, edit, found

CREATED = "order.created.v1"


def test_every_event_has_examples_and_the_originals_where_it_differs() -> None:
    """Two or more of each event; prices as numbers, nulls, nanoseconds and characters beyond ASCII are among them."""
    examples = golden(CONTRACTS)
    assert len(examples) == 15
    assert all({"minimal", "full"} <= named.keys() for named in examples.values())
    foreign = b"".join(named["java"] for named in examples.values() if "java" in named)
    for sign in (b'"reason": null', b'"price": 1499.0', b".789123456Z", b'"gateway": "razorpay"', "№".encode()):
        assert sign in foreign
    assert all(any(byte > 127 for byte in b"".join(named.values())) for named in examples.values())


SPOILT: list[tuple[Break, str, str]] = [
    (lambda d: d.update(userId="7"), "/userId", "its schema refuses it"),
    (lambda d: d["items"][0].update(quantity=0), "/items/0/quantity", "its schema refuses it"),
    (lambda d: d.update(createdAt="yesterday"), "/createdAt", "OrderCreated, through which order-service writes it"),
    (lambda d: d["items"][0].update(sku=None), "/items/0/sku", "through which inventory-service reads it"),
    (lambda d: d.pop("currency"), "", "payment-service reads it (src/ecom/payment/hearing.py), refuses it"),
    (lambda d: d.pop("email"), "", "it is to be full and lacks email"),
]


@pytest.mark.parametrize(("change", "pointer", "sentence"), SPOILT)
def test_an_example_that_is_not_understood_is_named(
    folder: Path, code: Code, change: Break, pointer: str, sentence: str
) -> None:
    """The schema, the writer's Struct and each reader's Struct each say where they refuse it."""
    edit(folder / "examples" / CREATED / "full.json", change)
    found(check(folder, code).problems, f"examples/{CREATED}/full.json", pointer, sentence)


def test_a_reader_that_refuses_what_the_contract_promises_is_named(code: Code) -> None:
    """A service whose Struct is narrower than the schema meets its mistake here, not on Kafka."""

    class PickyOrder(Event, frozen=True):
        EVENT: ClassVar[str] = CREATED

        order_id: Annotated[str, msgspec.Meta(max_length=50)]
        currency: Literal["EUR"]

    heard = {**code.readers, "search-service": (PickyOrder,)}
    problems = check(CONTRACTS, replace(code, readers=heard)).problems
    found(problems, f"examples/{CREATED}/java.json", "/currency", "PickyOrder, through which search-service reads it")
    assert not [p for p in problems if p.file.endswith(f"{CREATED}/full.json")]


MISSING: list[tuple[Callable[[Path], object], str, str, str]] = [
    (lambda d: (d / "minimal.json").unlink(), "minimal.json", "", "has no minimal example"),
    (lambda d: (d / "full.json").unlink(), "full.json", "", "has no full example"),
    (lambda d: (d / "java.json").write_text("{"), "java.json", "", "it is not JSON"),
    (lambda d: edit(d / "minimal.json", lambda e: e.update(email="a@b.example")), "minimal.json", "", "holds email"),
]


@pytest.mark.parametrize(("spoil", "file", "pointer", "sentence"), MISSING)
def test_a_minimal_and_a_full_example_are_asked_for(
    folder: Path, code: Code, spoil: Callable[[Path], object], file: str, pointer: str, sentence: str
) -> None:
    """Each event needs the two, and they must be what they are called."""
    spoil(folder / "examples" / CREATED)
    pointer = "/email" if "email" in sentence else pointer
    found(check(folder, code).problems, f"examples/{CREATED}/{file}", pointer, sentence)


def test_examples_of_no_event_are_named(folder: Path, code: Code) -> None:
    """A folder that nobody checks is a finding."""
    (folder / "examples" / CREATED).rename(folder / "examples" / "order.craeted.v1")
    problems = check(folder, code).problems
    found(problems, "examples/order.craeted.v1", "", "is not registered")
    found(problems, f"examples/{CREATED}/full.json", "", "has no full example")


def test_a_later_full_example_stands_beside_the_released_one(folder: Path, code: Code) -> None:
    """With a new optional field the old full example stays as it is, and full-2 has them all."""
    edit(folder / "schemas" / f"{CREATED}.json", lambda d: d["properties"].update(voucher={"type": "string"}))
    examples = folder / "examples" / CREATED
    problem = found(check(folder, code).problems, "full.json", "", "lacks voucher")
    assert "add full-2.json" in problem.mend
    (examples / "full-2.json").write_bytes((examples / "full.json").read_bytes())
    edit(examples / "full-2.json", lambda d: d.update(voucher="Frühling"))
    assert not [problem for problem in check(folder, code).problems if "/examples/" in problem.file]


@pytest.mark.parametrize(
    ("content", "pointer", "sentence"),
    [
        (b'{"orderId": 7}', "/orderId", "Expected `str`, got `int`"),
        (b"{}", "", "missing required field `orderId`"),
        (b"{", "", "truncated"),
        (b'{"orderId": "\xff"}', "", "utf-8"),
    ],
)
def test_a_refusal_says_where(content: bytes, pointer: str, sentence: str) -> None:
    """The Struct's own words, with the path as a JSON pointer."""
    refused = refusal(content, OrderCreated)
    assert refused is not None
    assert refused[0] == pointer
    assert sentence in refused[1]
