"""Topics in the configuration: each is an event's, and whoever says an event and whoever hears it name the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from dovecote.contracts.check import check
from dovecote.contracts.code import Code, Topics
from dovecote.contracts.problem import Problem
from ecom.contracts import CONTRACTS
from ecom.contracts.check import read_code
from tests.contracts.editing import found

PLACE = "/app/kafka/topics"


def configured(code: Code, named: Mapping[str, Mapping[str, str]]) -> tuple[Problem, ...]:
    """What the check says of services with these topics beside their own."""
    topics = {
        service: Topics(topics.file, {**topics.named, **named.get(service, {})})
        for service, topics in code.topics.items()
    }
    return check(CONTRACTS, replace(code, topics=topics)).problems


def test_every_services_configuration_is_read(code: Code) -> None:
    """All six files are looked at, and each of their keys is an event's."""
    assert {service: topics.file for service, topics in code.topics.items()} == {
        f"{name}-service": f"src/ecom/{name}/application.yml"
        for name in ("order", "payment", "inventory", "notification", "product", "search")
    }
    assert all(topics.named for topics in code.topics.values())


def test_a_key_of_no_event_is_named_with_the_nearest(code: Code) -> None:
    """A slip in a key would leave the event on its default topic without a word."""
    problems = configured(code, {"payment-service": {"order-craeted": "orders"}})
    problem = found(problems, "src/ecom/payment/application.yml", f"{PLACE}/order-craeted", "no registered event")
    assert "the nearest is order-created" in problem.wrong


def test_a_topic_renamed_by_its_producer_alone_says_who_would_not_hear(code: Code) -> None:
    """One finding, at the producer's file, with all who still listen to the old one."""
    problems = configured(code, {"order-service": {"order-created": "orders"}})
    problem = found(problems, "src/ecom/order/application.yml", f"{PLACE}/order-created", "order-service says")
    assert "inventory-service, notification-service, payment-service would not hear it" in problem.wrong
    assert len(problems) == 1


def test_a_topic_renamed_by_one_reader_alone_says_that_it_would_not_hear(code: Code) -> None:
    """The finding stands at the reader's file."""
    problems = configured(code, {"payment-service": {"order-created": "orders"}})
    problem = found(problems, "src/ecom/payment/application.yml", f"{PLACE}/order-created", "listens to 'orders'")
    assert "payment-service would not hear it" in problem.wrong
    assert len(problems) == 1


def test_a_topic_renamed_everywhere_is_fine(code: Code) -> None:
    """Topics may have other names; the event keeps its type."""
    everywhere = {service: {"order-created": "orders"} for service in code.topics}
    assert configured(code, everywhere) == ()


def test_an_environment_renames_topics_too() -> None:
    """A variable that reaches one service only is found by `ecom check`, which asks with its environment."""
    problems = check(CONTRACTS, read_code({"ORDER__APP_KAFKA_TOPICS_ORDERCREATED": "orders"})).problems
    assert "would not hear it" in found(problems, "order/application.yml", f"{PLACE}/order-created", "orders").wrong
    assert check(CONTRACTS, read_code({"APP_KAFKA_TOPICS_ORDERCREATED": "orders"})).problems == ()


@pytest.mark.parametrize("event", ["order.created.v1", "order.created.v2"])
def test_a_topics_key_is_that_of_all_versions(event: str) -> None:
    """A configured topic carries every version of its event; without a key each version has its own."""
    assert Topics("application.yml", {"order-created": "orders"}).of(event) == "orders"
    assert Topics("application.yml").of(event) == event
