"""How payment methods, amounts and the seed decide the simulator's behaviour."""

from datetime import timedelta

import pytest

from ecom.provider.interface import Operation
from ecom.provider.plan import AMOUNT_MINOR_MAX, LATE, PROMPT, Plan, Planner

PLANNER = Planner(seed=7)


@pytest.mark.parametrize("method", [None, "", "card", "upi", "card-", "card-unheard-of", "cash-declined"])
def test_everything_else_is_approved(method: str | None) -> None:
    """A method that names no behaviour is approved at once."""
    assert all(PLANNER.plan(operation, method, "k", 100) == PROMPT for operation in Operation)


@pytest.mark.parametrize(
    ("method", "operation", "plan"),
    [
        ("card-declined", Operation.AUTHORIZE, Plan(refusal="CARD_DECLINED")),
        ("card-declined", Operation.CAPTURE, PROMPT),
        ("card-timeout", Operation.AUTHORIZE, Plan(answer_after=LATE)),
        ("card-late", Operation.AUTHORIZE, Plan(work_after=LATE)),
        ("card-capture-declined", Operation.AUTHORIZE, PROMPT),
        ("card-capture-declined", Operation.CAPTURE, Plan(refusal="CAPTURE_DECLINED")),
        ("card-void-timeout", Operation.VOID, Plan(answer_after=LATE)),
        ("card-refund-late", Operation.REFUND, Plan(work_after=LATE)),
    ],
)
def test_behaviour_of_an_operation(method: str, operation: Operation, plan: Plan) -> None:
    """A behaviour is the authorization's unless the method names another operation."""
    assert PLANNER.plan(operation, method, "k", 100) == plan


def test_amount_above_the_limit() -> None:
    """A card has a limit; capture, void and refund do not."""
    above = AMOUNT_MINOR_MAX + 1
    assert PLANNER.plan(Operation.AUTHORIZE, "card", "k", above).refusal == "LIMIT_EXCEEDED"
    assert PLANNER.plan(Operation.CAPTURE, "card", "k", above) == PROMPT


def test_seed_decides() -> None:
    """The same seed and key give the same plan in every run; keys differ among themselves."""
    keys = [f"k{number}" for number in range(50)]
    slow = [PLANNER.plan(Operation.AUTHORIZE, "card-slow", key, 1).answer_after for key in keys]
    assert slow == [Planner(seed=7).plan(Operation.AUTHORIZE, "card-slow", key, 1).answer_after for key in keys]
    assert all(timedelta(milliseconds=150) <= delay <= timedelta(milliseconds=450) for delay in slow)
    tries = {PLANNER.plan(Operation.AUTHORIZE, "card-unavailable", key, 1).failing_tries for key in keys}
    assert tries == {1, 2}
