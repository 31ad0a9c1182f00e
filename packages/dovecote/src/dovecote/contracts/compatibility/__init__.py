"""Whether a change of an event contract breaks someone who does not change with it, shown by an event."""

from dovecote.contracts.compatibility.change import Change, Verdict
from dovecote.contracts.compatibility.comparison import compare

__all__ = ["Change", "Verdict", "compare"]
