"""HTTP on the loop that runs everything else: one uvicorn server that leaves the signals to us."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

from dovecote.errors import DovecoteError

BACKLOG = 2048
GRACE_S = 3
_START_S = 10.0


class PortInUse(DovecoteError):
    """The HTTP port belongs to another process."""


def bind(address: str, port: int) -> socket.socket:
    """Take the port before anything else is started, so that a taken one costs nobody a wait.

    Raises PortInUse naming the port, or why the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # The protocol is named, so that asyncio's own loop knows it for TCP and sends answers without delay.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((address.strip("[]"), port))
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        raise PortInUse(
            f"Port {port} on {address} cannot be used ({error.strerror or error}): "
            "stop what listens there, or choose another with --port."
        ) from error
    return taken


def base_url(taken: socket.socket) -> str:
    """The address clients call."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Signals are the launcher's: it stops services in order, and uvicorn is one of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: Any, taken: socket.socket) -> AsyncIterator[None]:
    """Answer HTTP on a bound socket until the block ends; requests in hand are finished first."""
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve([taken]))
    try:
        async with asyncio.timeout(_START_S):
            while not server.started:
                if task.done():
                    task.result()
                await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await task
