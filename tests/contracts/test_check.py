"""The check of event contracts: clean on what is here, and it names file, pointer and mend for each way to break it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dovecote.contracts.check import check
from dovecote.contracts.code import Code, Saying
from dovecote.contracts.gate import gate
from dovecote.contracts.release import releases
from dovecote.contracts.report import as_text
from dovecote.events import Event
from ecom.contracts import CONTRACTS, Instant, OrderId
from ecom.contracts.check import RELEASED, ROOT
from ecom.contracts.inventory import InventoryReserved
from ecom.contracts.payment import PaymentFailed
from tests.contracts.editing import Break, edit, found

REGISTRY = "event-contracts.json"
CONFIRMED = "order.confirmed.v1"


def test_the_contracts_are_whole(code: Code) -> None:
    """Registry, schemas, examples, Structs, services and topics agree; all events of the wire contract are there."""
    checked = check(CONTRACTS, code)
    assert [str(problem) for problem in checked.problems] == []
    assert len(checked.events) == 15


def test_the_contracts_keep_what_was_released(code: Code) -> None:
    """Since the newest release nothing has changed that breaks somebody, and every released example is where it was."""
    report = gate(CONTRACTS, code, released=releases(RELEASED))
    assert report.ok, as_text(report)
    assert report.against.startswith("release ")


def test_the_services_live_handlers_are_read(code: Code) -> None:
    """What the order service really hears is what the check compares."""
    assert {struct.EVENT for struct in code.readers["order-service"]} == {
        "payment.authorized.v1",
        "payment.failed.v1",
        "payment.captured.v1",
        "payment.refunded.v1",
        "inventory.reserved.v1",
        "inventory.reservation.failed.v1",
        "product.upserted.v1",
        "product.deleted.v1",
    }
    assert code.listeners("order.created.v1") == ("inventory-service", "notification-service", "payment-service")


REGISTRY_BREAKS: list[tuple[Break, str, str]] = [
    (lambda d: d.update(version="2"), "", '{"version": "1", "events"'),
    (lambda d: d.update(events=[]), "", '{"version": "1", "events"'),
    (lambda d: d["events"].update({"order.Paid.v1": d["events"].pop(CONFIRMED)}), "/order.Paid.v1", "does not match"),
    (lambda d: d["events"][CONFIRMED].update(schema_version="v2"), f"/{CONFIRMED}/schema_version", "'v2'"),
    (lambda d: d["events"][CONFIRMED].update(schema_file="schemas/x.json"), f"/{CONFIRMED}/schema_file", "x.json"),
    (lambda d: d["events"][CONFIRMED].pop("producer"), f"/{CONFIRMED}", "lacks producer"),
    (lambda d: d["events"].update({CONFIRMED: None}), f"/{CONFIRMED}", "lacks consumers, producer"),
    (lambda d: d["events"][CONFIRMED].update(consumers="payment-service"), f"/{CONFIRMED}/consumers", "no array"),
    (
        lambda d: d["events"][CONFIRMED].update(consumers=["Payment"]),
        f"/{CONFIRMED}/consumers/0",
        "a service 'Payment'",
    ),
    (lambda d: d["events"][CONFIRMED].update(key="orderld"), f"/{CONFIRMED}/key", "the nearest is orderId"),
    (lambda d: d["events"][CONFIRMED].update(producer=7), f"/{CONFIRMED}/producer", "a service 7"),
    (
        lambda d: d["events"][CONFIRMED]["consumers"].append("payment-service"),
        f"/{CONFIRMED}/consumers/2",
        "names payment-service twice",
    ),
    (
        lambda d: d["events"][CONFIRMED]["consumers"].append("inventry-service"),
        f"/{CONFIRMED}/consumers/2",
        "no such service; the nearest is inventory-service",
    ),
    (
        lambda d: d["events"][CONFIRMED]["consumers"].append("search-service"),
        f"/{CONFIRMED}/consumers/2",
        "search-service is registered as a consumer of order.confirmed.v1 and handles nothing of it",
    ),
    (
        lambda d: d["events"][CONFIRMED]["consumers"].remove("payment-service"),
        f"/{CONFIRMED}/consumers",
        "payment-service handles order.confirmed.v1 and is not among its consumers",
    ),
    (
        lambda d: d["events"][CONFIRMED].update(producer="payment-service"),
        f"/{CONFIRMED}",
        "nothing in payment-service",
    ),
]


@pytest.mark.parametrize(("change", "pointer", "sentence"), REGISTRY_BREAKS)
def test_a_broken_registry_is_named(folder: Path, code: Code, change: Break, pointer: str, sentence: str) -> None:
    """Each wrong entry is reported at its place in the registry."""
    edit(folder / REGISTRY, change)
    found(check(folder, code).problems, REGISTRY, pointer and f"/events{pointer}", sentence)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist"),
        (b"{", "is not JSON"),
        (b"\xff", "cannot be read"),
        (b'{"version": "1", "version": "1", "events": {}}', "'version' stands twice"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_an_unreadable_registry_is_named(folder: Path, code: Code, content: bytes | None, sentence: str) -> None:
    """A registry that is no JSON, or says a thing twice, is a finding and no crash."""
    (folder / REGISTRY).unlink()
    if content is not None:
        (folder / REGISTRY).write_bytes(content)
    found(check(folder, code).problems, REGISTRY, "", sentence)


RESERVED = "inventory.reserved.v1"
SCHEMA_BREAKS: list[tuple[Break, str, str]] = [
    (lambda d: d["properties"].pop("emittedAt"), "/properties/emittedAt", "InventoryReserved"),
    (lambda d: d["properties"].update(note={"type": "string"}), "/properties/note", "InventoryReserved"),
    (lambda d: d["required"].remove("emittedAt"), "/properties/emittedAt", "required"),
    (lambda d: d["properties"]["emittedAt"].pop("format"), "/properties/emittedAt", "format"),
    (lambda d: d["properties"]["orderId"].update(type="integer"), "/properties/orderId", "integer"),
    (lambda d: d["properties"]["orderId"].update(type="text"), "/properties/orderId/type", "draft 2020-12"),
    (lambda d: d["properties"]["orderId"].update(pattern="("), "/properties/orderId/pattern", "draft 2020-12"),
    (lambda d: d["properties"]["orderId"].update({"$ref": "#/$defs/id"}), "", "draft 2020-12"),
    (lambda d: d["properties"]["orderId"].update(maxLenght=9), "/properties/orderId/maxLenght", "nearest is maxLength"),
    (lambda d: d["properties"]["emittedAt"].update(format="datetime"), "/properties/emittedAt/format", "is date-time"),
    (lambda d: d.update(type="array"), "", "payload object"),
    (lambda d: d.pop("$schema"), "", "payload object"),
    (lambda d: d.update(additionalProperties=False), "/additionalProperties", "forbids unknown fields"),
    (
        lambda d: d["properties"].update(at={"type": "object", "unevaluatedProperties": False}),
        "/properties/at/unevaluatedProperties",
        "forbids unknown fields",
    ),
    (
        lambda d: d["properties"]["orderId"].update({"$ref": "https://example.org/id.json"}),
        "/properties/orderId/$ref",
        "points out of the file",
    ),
]


@pytest.mark.parametrize(("change", "pointer", "sentence"), SCHEMA_BREAKS)
def test_a_broken_schema_is_named(folder: Path, code: Code, change: Break, pointer: str, sentence: str) -> None:
    """A contract changed without its Struct, and a schema that is none, are reported at their place."""
    edit(folder / "schemas" / f"{RESERVED}.json", change)
    problem = found(check(folder, code).problems, f"schemas/{RESERVED}.json", pointer, sentence)
    assert "InventoryReserved" not in problem.wrong or "src/ecom/contracts/inventory.py" in problem.wrong


def test_a_missing_schema_and_a_stray_one_are_named(folder: Path, code: Code) -> None:
    """Every entry has its file and every file its entry."""
    (folder / "schemas" / f"{CONFIRMED}.json").rename(folder / "schemas" / "order.paid.v1.json")
    problems = check(folder, code).problems
    found(problems, f"schemas/{CONFIRMED}.json", "", "it does not exist")
    found(problems, "schemas/order.paid.v1.json", "", f"no entry of {REGISTRY} names it")


class StockWasReturned(Event, frozen=True):
    """An event that nobody registered."""

    EVENT: ClassVar[str] = "inventory.returned.v1"

    order_id: str


class Greedy(Event, frozen=True):
    """A reader that insists on what the contract does not promise."""

    EVENT: ClassVar[str] = "inventory.reservation.failed.v1"

    order_id: str
    reason: str
    warehouse: str | None = None
    emitted_at: Instant | None = None


class Shared(Event, frozen=True):
    """A reader of inventory.reserved.v1 that looks for what payment.failed.v1 promises."""

    EVENT: ClassVar[str] = "inventory.reserved.v1"

    order_id: OrderId
    status: str
    payment_id: str | None = None


def heard_also(code: Code, service: str, *structs: type[Event]) -> Code:
    """The code with more readers' Structs in a service."""
    return replace(code, readers={**code.readers, service: (*code.readers[service], *structs)})


def written(code: Code, service: str, *structs: type[Event]) -> Code:
    """The code with these writers' Structs in a service, and no others."""
    return replace(code, writers={**code.writers, service: structs})


def test_an_unregistered_event_is_named(code: Code) -> None:
    """A writer's Struct and a handler's event must be in the registry; the nearest name helps with a slip."""
    here = "tests/contracts/test_check.py"
    writing = written(code, "inventory-service", *code.writers["inventory-service"], StockWasReturned)
    found(check(CONTRACTS, writing).problems, here, "", "'inventory.returned.v1', which is not registered; the nearest")
    hearing = heard_also(code, "payment-service", StockWasReturned)
    found(check(CONTRACTS, hearing).problems, here, "", "payment-service handles 'inventory.returned.v1'")


def test_a_registered_event_needs_its_struct_at_its_producer(code: Code) -> None:
    """No event without a Struct, none with two, none in another producer's module."""
    inventory = tuple(code.writers["inventory-service"])
    without = written(code, "inventory-service", *(kind for kind in inventory if kind is not InventoryReserved))
    at = f"/events/{RESERVED}"
    found(check(CONTRACTS, without).problems, REGISTRY, at, "inventory-service has no Struct to write it through")
    file = "src/ecom/contracts/inventory.py"
    moved = written(without, "order-service", *code.writers["order-service"], InventoryReserved)
    found(check(CONTRACTS, moved).problems, file, "", "registered for inventory-service")
    double = written(code, "inventory-service", *inventory, InventoryReserved)
    found(check(CONTRACTS, double).problems, file, "", "a second Struct")


def test_a_reader_may_ask_no_more_than_is_promised(code: Code) -> None:
    """A handler that requires an optional field would turn legal foreign events into dead letters."""
    problems = check(CONTRACTS, heard_also(code, "order-service", Greedy)).problems
    file = "schemas/inventory.reservation.failed.v1.json"
    found(problems, file, "/properties/reason", "order-service asks too much")
    found(problems, file, "/properties/warehouse", "order-service asks too much")


def test_one_reader_may_serve_several_events(code: Code) -> None:
    """An optional field is fine where another event that the service hears promises it, a required one is not."""
    problems = check(CONTRACTS, replace(code, readers={"order-service": (Shared, PaymentFailed)})).problems
    asked = [p.pointer for p in problems if "asks too much" in p.wrong and "Shared" in p.wrong]
    assert asked == ["/properties/status"]


def test_an_event_is_said_by_its_producer_and_by_nobody_else(code: Code) -> None:
    """Who builds another's event is named with file and line; an event that nothing says is named, too."""
    assert code.said is not None
    borrowed = Saying("order-service", "payment.failed.v1", "src/ecom/order/saga.py", 42)
    problems = check(CONTRACTS, replace(code, said=[*code.said, borrowed])).problems
    found(problems, "src/ecom/order/saga.py:42", "", "order-service builds payment.failed.v1, an event of payment")
    silent = [saying for saying in code.said if saying.event != CONFIRMED]
    problems = check(CONTRACTS, replace(code, said=silent)).problems
    found(problems, REGISTRY, f"/events/{CONFIRMED}", "nothing in order-service says it")


def test_an_alias_is_accepted_and_not_written(folder: Path, code: Code) -> None:
    """The second name of an event keeps the first one's schema, and nobody builds it."""
    alias, name = "notification.dead-letter.v1", "notification.dlq.v1"
    assert code.said is not None
    written_too = Saying("notification-service", alias, "src/ecom/notification/worker.py", 7)
    problems = check(CONTRACTS, replace(code, said=[*code.said, written_too])).problems
    found(problems, "src/ecom/notification/worker.py:7", "", "accepted and not written")
    # Without the word that it is an alias, it is an event that nothing says.
    found(check(CONTRACTS, replace(code, aliases={})).problems, REGISTRY, f"/events/{alias}", "nothing in notification")
    edit(folder / "schemas" / f"{alias}.json", lambda d: d["properties"]["retries"].update(minimum=1))
    found(check(folder, code).problems, f"schemas/{alias}.json", "", f"an alias of {name}, and their schemas differ")
    edit(folder / REGISTRY, lambda d: d["events"].pop(name))
    found(check(folder, code).problems, REGISTRY, "/events", f"{name} is not registered")


def test_services_elsewhere_are_not_asked(folder: Path, code: Code) -> None:
    """A registry may name services of another repository; nothing is asked of code that is not here."""
    entry: dict[str, Any] = {"schema_version": "v1", "producer": "parcel-service", "consumers": ["order-service"]}
    text = (folder / "schemas" / f"{RESERVED}.json").read_text(encoding="utf-8")
    (folder / "schemas" / "parcel.sent.v1.json").write_text(text, encoding="utf-8")
    edit(
        folder / REGISTRY,
        lambda d: d["events"].update({"parcel.sent.v1": {**entry, "schema_file": "schemas/parcel.sent.v1.json"}}),
    )
    for name in ("minimal", "full"):
        (folder / "examples" / "parcel.sent.v1").mkdir(exist_ok=True)
        payload = (folder / "examples" / RESERVED / f"{name}.json").read_bytes()
        (folder / "examples" / "parcel.sent.v1" / f"{name}.json").write_bytes(payload)
    here, at = replace(code, elsewhere=frozenset({"parcel-service"})), "/events/parcel.sent.v1"
    told = check(folder, here).problems
    found(told, REGISTRY, f"{at}/consumers/0", "order-service is registered as a consumer")
    assert len(told) == 1
    found(check(folder, code).problems, REGISTRY, f"{at}/producer", "there is no such service")


def test_findings_name_files_from_the_projects_root(code: Code) -> None:
    """Whoever reads a finding in CI can open the file it names."""
    problems = check(CONTRACTS, replace(code, said=[])).problems
    assert problems
    assert {problem.file for problem in problems} == {"contracts/events/event-contracts.json"}
    assert (ROOT / problems[0].file).is_file()
