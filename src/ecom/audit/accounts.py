"""Accounts: what the provider did for each order, by its own ledger. Amounts are in minor units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ecom.provider.interface import Operation
from ecom.provider.ledger import Entry, Mark


@dataclass(slots=True)
class Charge:
    """One authorization, and what of it the customer has back."""

    entry: Entry
    given_back: int = 0
    returns: int = 0

    @property
    def is_live(self) -> bool:
        """Whether anything of it is still held or taken; one of nothing is, until it is let go."""
        return self.given_back < self.entry.amount_minor or self.returns == 0


@dataclass(slots=True)
class Account:
    """One order's money. ``excess`` is what came back although nothing was held for it."""

    charges: list[Charge] = field(default_factory=list)
    excess: int = 0

    @property
    def net(self) -> int:
        """What of the customer's money is held or taken."""
        return sum(each.entry.amount_minor - each.given_back for each in self.charges) - self.excess

    def enter(self, entry: Entry) -> None:
        """Take an approved operation into the account."""
        match entry.operation:
            case Operation.AUTHORIZE:
                self.charges.append(Charge(entry))
            case Operation.VOID | Operation.REFUND:
                self._give_back(entry)
            case Operation.CAPTURE:
                pass  # what was held is now taken: still the same money

    def _give_back(self, entry: Entry) -> None:
        """Money goes back to the newest charge that has any, among those that the provider names if it can."""
        live = [each for each in reversed(self.charges) if each.is_live]
        named = [each for each in live if each.entry.provider_id == entry.provider_id]
        for charge in (named or live)[:1]:
            charge.given_back += entry.amount_minor
            charge.returns += 1
            return
        self.excess += entry.amount_minor


def accounts_of(entries: Iterable[Entry], references: Mapping[str, str]) -> dict[str, Account]:
    """The ledger by order, whether the provider was given the order's id for reference or the payment's."""
    accounts: dict[str, Account] = defaultdict(Account)
    for entry in entries:
        if entry.outcome is Mark.APPROVED:
            accounts[references.get(entry.reference, entry.reference)].enter(entry)
    return dict(accounts)
