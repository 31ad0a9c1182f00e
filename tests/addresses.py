"""Addresses of one server, for tests that stand between it and its clients."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlsplit


def by_tcp(url: str) -> SplitResult:
    """A database's address by TCP, also where the one given goes through the server's socket."""
    parts = urlsplit(url)
    beside = dict(parse_qsl(parts.query))
    host, port = parts.hostname or "127.0.0.1", parts.port or beside["port"]
    return parts._replace(netloc=f"{parts.username}:{parts.password}@{host}:{port}", query="")
