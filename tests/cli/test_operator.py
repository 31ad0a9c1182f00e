"""Operators' commands: check, migrate, topics, contracts, outbox and dlq, on real servers."""

from __future__ import annotations

from ecom.shop import SERVICES
from tests.cli.conftest import Command


async def test_check_says_what_is_missing_and_then_that_all_is_well(ecom: Command) -> None:
    """On an empty database check is red and names the command that mends; after both commands it is green."""
    code, out, _ = await ecom.run("check", "--prefix", ecom.prefix)
    assert code == 1
    assert out.count("run ecom migrate") == len(SERVICES)
    assert out.count("run ecom topics") == len(SERVICES)
    code, out, err = await ecom.run("migrate", "--prefix", ecom.prefix)
    assert (code, err) == (0, "")
    assert out.count("migrations applied") == len(SERVICES)
    assert (await ecom.run("migrate", "--prefix", ecom.prefix))[1].count("up to date") == len(SERVICES)
    code, out, _ = await ecom.run("topics", "--prefix", ecom.prefix)
    assert code == 0
    assert f"{ecom.prefix}order.created.v1  6 partitions  created" in out
    code, out, _ = await ecom.run("check", "--prefix", ecom.prefix)
    assert code == 0, out
    assert "WRONG" not in out


async def test_check_names_servers_that_do_not_answer_and_unreadable_settings(ecom: Command, port: int) -> None:
    """A database and a broker that are away, and a wrong setting, are each a finding; nothing is a traceback."""
    code, out, err = await ecom.run(
        "check",
        ECOM_DATABASE_URL=f"postgresql://ecom@127.0.0.1:{port}/ecom",
        ORDER__APP_OUTBOX_MAXRETRY="many",
    )
    assert code == 1
    assert "WRONG configuration of order" in out
    assert "The database cannot be reached" in out
    assert "Traceback" not in err


async def test_an_empty_outbox_and_no_dead_letters(ecom: Command) -> None:
    """The commands work on a shop that never ran, and say that there is nothing."""
    assert "0 FAILED events" in (await ecom.run("outbox", "list", "payment", "--prefix", ecom.prefix))[1]
    assert "0 dead letters" in (await ecom.run("dlq", "list", "notification", "--prefix", ecom.prefix))[1]
    assert "0 FAILED events" in (await ecom.run("outbox", "replay", "order", "--prefix", ecom.prefix))[1]
    code, _, err = await ecom.run("dlq", "show", "order", "7", "--prefix", ecom.prefix)
    assert (code, err) == (1, "ecom: order has no dead letter 7.\n")


async def test_an_unknown_service_is_named_with_those_that_exist(ecom: Command) -> None:
    """A typing mistake gets the list of services."""
    code, _, err = await ecom.run("outbox", "list", "order", "--status", "NOPE")
    assert code == 2
    assert "NOPE" in err
    code, _, err = await ecom.run("outbox", "list", "ordr")
    assert (code, err) == (1, f"ecom: There is no service 'ordr'; there are {', '.join(SERVICES)}.\n")


async def test_contracts_check_counts_the_events(ecom: Command) -> None:
    """The command and the script run the same check."""
    code, out, err = await ecom.run("contracts", "check")
    assert (code, err) == (0, "")
    assert "15 event contracts, 0 errors, " in out
