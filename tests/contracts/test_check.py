"""The checker of event contracts: clean on what is here, and it names file and mend for each way to break it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dovecote.events import Event
from ecom.contracts import CONTRACTS, Instant, report
from ecom.contracts.check import Code, Verdict, _borrowed, check, read_code
from ecom.contracts.inventory import InventoryReserved
from ecom.contracts.payment import PaymentFailed

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_event_contracts.py"
Break = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def code() -> Code:
    """What the code says, read once."""
    return read_code()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the contracts to break."""
    return Path(shutil.copytree(CONTRACTS, tmp_path / "events"))


def edit(path: Path, change: Break) -> None:
    """Change a JSON file in place."""
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def only(verdict: Verdict) -> tuple[str, str]:
    """The single problem's file and sentence; every problem must say how to mend it."""
    assert len(verdict.problems) == 1, [str(problem) for problem in verdict.problems]
    (problem,) = verdict.problems
    assert problem.mend
    return problem.file, problem.wrong


def test_the_contracts_are_whole(code: Code) -> None:
    """Registry, schemas, Structs and services agree; all fifteen events of the wire contract are there."""
    verdict = check(code=code)
    assert [str(problem) for problem in verdict.problems] == []
    assert len(verdict.events) == 15


def test_the_services_live_handlers_are_read(code: Code) -> None:
    """What the order service really hears is what the checker compares."""
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


REGISTRY_BREAKS: list[tuple[Break, str]] = [
    (lambda d: d.update(version="2"), '{"version": "1", "events"'),
    (lambda d: d["events"].update({"order.Paid.v1": d["events"].pop("order.confirmed.v1")}), "does not match"),
    (lambda d: d["events"]["order.confirmed.v1"].update(schema_version="v2"), "schema_version 'v2'"),
    (lambda d: d["events"]["order.confirmed.v1"].update(schema_file="schemas/x.json"), "schema_file"),
    (lambda d: d["events"]["order.confirmed.v1"].pop("producer"), "lacks some of"),
    (lambda d: d["events"]["order.confirmed.v1"].update(consumers=["Payment"]), "names a service"),
    (lambda d: d["events"]["payment.authorized.v1"]["consumers"].remove("order-service"), "order-service handles"),
]


@pytest.mark.parametrize(("change", "sentence"), REGISTRY_BREAKS)
def test_a_broken_registry_is_named(folder: Path, code: Code, change: Break, sentence: str) -> None:
    """Each wrong entry is reported in the registry's name."""
    edit(folder / "event-contracts.json", change)
    problems = check(folder, code).problems
    assert any(problem.file == "event-contracts.json" and sentence in problem.wrong for problem in problems)


SCHEMA_BREAKS: list[tuple[Break, str, str]] = [
    (lambda d: d["properties"].pop("emittedAt"), "src/ecom/contracts/inventory.py", "is in the Struct only"),
    (
        lambda d: d["properties"].update(note={"type": "string"}),
        "src/ecom/contracts/inventory.py",
        "in the schema only",
    ),
    (lambda d: d["required"].remove("emittedAt"), "src/ecom/contracts/inventory.py", "required in the Struct only"),
    (lambda d: d["properties"]["emittedAt"].pop("format"), "src/ecom/contracts/inventory.py", "has format date-time"),
    (lambda d: d["properties"]["orderId"].update(type="integer"), "src/ecom/contracts/inventory.py", "may be"),
    (lambda d: d["properties"]["orderId"].update(type="text"), "schemas/inventory.reserved.v1.json", "draft 2020-12"),
    (lambda d: d.update(type="array"), "schemas/inventory.reserved.v1.json", "payload object"),
    (lambda d: d.update(additionalProperties=False), "schemas/inventory.reserved.v1.json", "forbids unknown fields"),
]


@pytest.mark.parametrize(("change", "file", "sentence"), SCHEMA_BREAKS)
def test_a_schema_that_differs_from_its_struct_is_named(
    folder: Path, code: Code, change: Break, file: str, sentence: str
) -> None:
    """A contract changed without its Struct, or the other way round, is reported."""
    edit(folder / "schemas" / "inventory.reserved.v1.json", change)
    problems = check(folder, replace(code, readers={})).problems
    assert any(problem.file == file and sentence in problem.wrong for problem in problems)


def test_a_missing_schema_and_a_stray_one_are_named(folder: Path, code: Code) -> None:
    """Every entry has its file and every file its entry."""
    (folder / "schemas" / "order.confirmed.v1.json").rename(folder / "schemas" / "order.paid.v1.json")
    problems = [(problem.file, problem.wrong) for problem in check(folder, code).problems]
    assert ("schemas/order.confirmed.v1.json", "the schema of order.confirmed.v1 does not exist") in problems
    assert ("schemas/order.paid.v1.json", "no entry of event-contracts.json names it") in problems


def test_an_unreadable_registry_is_named(folder: Path) -> None:
    """A registry that is no JSON is an error, not a crash."""
    (folder / "event-contracts.json").write_text("{", encoding="utf-8")
    assert any("cannot be read" in problem.wrong for problem in check(folder, Code()).problems)


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

    order_id: str
    status: str
    payment_id: str | None = None


def test_an_unregistered_struct_is_named(code: Code) -> None:
    """A writer's Struct and a handler's event must be in the registry."""
    written = {**code.writers, "inventory-service": (*code.writers["inventory-service"], StockWasReturned)}
    file, wrong = only(check(code=replace(code, writers=written)))
    assert (file, "not registered" in wrong) == ("src/ecom/contracts/inventory.py", True)
    heard = {**code.readers, "payment-service": (*code.readers.get("payment-service", ()), StockWasReturned)}
    file, wrong = only(check(code=replace(code, readers=heard)))
    assert (file, "handles 'inventory.returned.v1'" in wrong) == ("src/ecom/payment/handlers.py", True)


def test_a_registered_event_needs_its_struct_at_its_producer(code: Code) -> None:
    """No event without a Struct, none with two, none in another producer's module."""
    without = tuple(kind for kind in code.writers["inventory-service"] if kind is not InventoryReserved)
    missing = {**code.writers, "inventory-service": without}
    assert "has no Struct" in only(check(code=replace(code, writers=missing)))[1]
    moved = {**missing, "order-service": (*code.writers["order-service"], InventoryReserved)}
    assert "registered for inventory-service" in only(check(code=replace(code, writers=moved)))[1]
    double = {**code.writers, "inventory-service": (*code.writers["inventory-service"], InventoryReserved)}
    assert "second Struct" in only(check(code=replace(code, writers=double)))[1]


def test_a_reader_may_ask_no_more_than_is_promised(code: Code) -> None:
    """A handler that requires an optional field would turn legal foreign events into dead letters."""
    problems = check(code=replace(code, readers={"order-service": (Greedy,)})).problems
    assert sorted(problem.wrong.split(": ")[1] for problem in problems) == [
        "payload.reason is required by the reader and optional in the contract",
        "payload.warehouse is read and not in the contract",
    ]


def test_one_reader_may_serve_several_events(code: Code) -> None:
    """An optional field is fine where another event that the service hears promises it, a required one is not."""
    problems = check(code=replace(code, readers={"order-service": (Shared, PaymentFailed)})).problems
    assert [problem.wrong for problem in problems] == ["Shared: payload.status is read and not in the contract"]


def test_only_its_producer_writes_an_event(code: Code) -> None:
    """A service that builds another's event is named with the file."""
    borrowed = (("src/ecom/order/saga.py", "order-service", "ecom.contracts.payment.PaymentFailed"),)
    file, wrong = only(check(code=replace(code, borrowed=borrowed)))
    assert (file, "of another producer" in wrong) == ("src/ecom/order/saga.py", True)


def test_a_borrowed_event_is_found_in_the_source(tmp_path: Path) -> None:
    """The source of a service is read: building another producer's event is found, reading or borrowing else is not."""
    (tmp_path / "handlers.py").write_text(
        "from ecom.contracts.payment import CAPTURE_DECLINED, PaymentFailed as Failed\n"
        "from ecom.contracts.money import plain\n"
        "from ecom.contracts.order import OrderConfirmed\n"
        "def f(tx, x: Failed): plain(1); OrderConfirmed(order_id='o'); tx.publish(Failed(order_id='o'))\n",
        encoding="utf-8",
    )
    events = {"ecom.contracts.payment.PaymentFailed", "ecom.contracts.order.OrderConfirmed"}
    assert list(_borrowed(tmp_path, "order", events)) == [
        ("src/ecom/order/handlers.py", "order-service", "ecom.contracts.payment.PaymentFailed")
    ]


def test_the_reports_tell_both_ways(tmp_path: Path, code: Code) -> None:
    """The JSON report carries every event and error; the text names them for a reader."""
    borrowed = (("src/ecom/order/saga.py", "order-service", "ecom.contracts.payment.PaymentFailed"),)
    as_json, as_text = report.write(check(code=replace(code, borrowed=borrowed)), tmp_path / "reports")
    assert (as_json.name, as_text.name) == ("event-contracts-report.json", "event-contracts-report.md")
    document = json.loads(as_json.read_text(encoding="utf-8"))
    assert (document["ok"], document["errors"][0]["file"]) == (False, "src/ecom/order/saga.py")
    assert "order-service" in document["events"]["payment.authorized.v1"]["listeners"]
    text = as_text.read_text(encoding="utf-8")
    assert "| order.created.v1 | order-service |" in text
    assert "Mend: " in text


def test_the_script_passes_here() -> None:
    """`scripts/check_event_contracts.py` exits 0 and leaves both reports in build-artifacts/."""
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 errors" in done.stdout
    for ending in ("json", "md"):
        assert (SCRIPT.parents[1] / "build-artifacts" / f"event-contracts-report.{ending}").exists()
