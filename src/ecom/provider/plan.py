"""How the simulator misbehaves: a plan for each operation, read from payment method, amount and seed.

A method is `card`, `card-<behaviour>` (of the authorization) or `card-<operation>-<behaviour>`: declined,
slow, timeout (done at once, answered after the client has given up), late (done only after the client has
given up; until then the key is in progress), unavailable (the first tries of a key fail). Anything else is
approved.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from ecom.provider.interface import Operation

AMOUNT_MINOR_MAX = 100_000_000_00
SLOW = timedelta(milliseconds=300)
LATE = timedelta(seconds=8)
_BEHAVIOURS = ("declined", "slow", "timeout", "late", "unavailable")
_REFUSALS = {
    Operation.AUTHORIZE: "CARD_DECLINED",
    Operation.CAPTURE: "CAPTURE_DECLINED",
    Operation.VOID: "VOID_DECLINED",
    Operation.REFUND: "REFUND_DECLINED",
}


@dataclass(frozen=True, slots=True)
class Plan:
    refusal: str | None = None
    work_after: timedelta = timedelta(0)
    answer_after: timedelta = timedelta(0)
    failing_tries: int = 0


PROMPT = Plan()


@dataclass(frozen=True, slots=True)
class Planner:
    seed: int
    late: timedelta = LATE

    def plan(self, operation: Operation, method: str | None, key: str, amount_minor: int) -> Plan:
        match self._behaviour(operation, method):
            case "declined":
                return Plan(refusal=_REFUSALS[operation])
            case "slow":
                return Plan(answer_after=SLOW * (0.5 + self._share(key)))
            case "timeout":
                return Plan(answer_after=self.late)
            case "late":
                return Plan(work_after=self.late)
            case "unavailable":
                return Plan(failing_tries=1 + round(self._share(key)))
            case _ if operation is Operation.AUTHORIZE and amount_minor > AMOUNT_MINOR_MAX:
                return Plan(refusal="LIMIT_EXCEEDED")
            case _:
                return PROMPT

    def _behaviour(self, operation: Operation, method: str | None) -> str | None:
        match (method or "").split("-"):
            case ["card", behaviour] if operation is Operation.AUTHORIZE and behaviour in _BEHAVIOURS:
                return behaviour
            case ["card", name, behaviour] if name == operation.value and behaviour in _BEHAVIOURS:
                return behaviour
            case _:
                return None

    def _share(self, key: str) -> float:
        """A number in [0, 1) that the seed and the key alone decide."""
        digest = hashlib.blake2b(f"{self.seed}:{key}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") / 2**32
