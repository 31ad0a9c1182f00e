"""A relay in a process of its own: `python -m ecom.bench.leader` leads for the stand whose address it reads.

It prints `leads` once it does; a line on its input ends it, and what it spent goes to its output.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import AbstractAsyncContextManager

import msgspec
import structlog
import uvloop

from ecom.bench.aside import Aside, aside
from ecom.bench.stand import Address, joined

LOOK_S = 0.01


async def lead(address: Address) -> None:
    """Lead until told to stop."""
    async with joined(address) as stand:
        relay = stand.relay()
        task = asyncio.create_task(relay.run())
        while not relay.leads:  # noqa: ASYNC110 (it is the relay's public word, and it has no event)
            await asyncio.sleep(LOOK_S)
        sys.stdout.write("leads\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        task.cancel()
        await asyncio.wait([task])


def leader(address: Address) -> AbstractAsyncContextManager[Aside]:
    """A process that leads, ended with the block."""
    return aside("ecom.bench.leader", word="leads", given=msgspec.json.encode(address) + b"\n")


def main() -> None:
    """Read the address, and lead."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # the output is ours
    uvloop.run(lead(msgspec.json.decode(sys.stdin.readline(), type=Address)))


if __name__ == "__main__":
    main()
