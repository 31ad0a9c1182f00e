"""What can go wrong with the servers of one machine, each in one sentence that says what to do next."""

from __future__ import annotations

from dovecote.errors import DovecoteError


class LocalError(DovecoteError):
    """An embedded server or a process of ours cannot be started, found or stopped."""


class HomeInUse(LocalError):
    """Another launcher holds this home; two of them would stop each other's servers."""
