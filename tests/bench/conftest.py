"""The benches are run as a user runs them: by the command, on the session's servers."""

from __future__ import annotations

from tests.cli.conftest import ecom, private_home

__all__ = ["ecom", "private_home"]
