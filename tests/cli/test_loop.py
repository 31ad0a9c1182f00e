"""The event loop of a command."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from ecom.cli import loop

async def main():
    print(resource.getrlimit(resource.RLIMIT_NOFILE))

resource.setrlimit(resource.RLIMIT_NOFILE, ({now}, {most}))
loop.run(main())
"""


@pytest.mark.parametrize(("now", "most", "then"), [(256, 2048, 2048), (2048, 2048, 2048)])
def test_a_command_opens_as_many_files_as_it_may(now: int, most: int, then: int) -> None:
    """A shop that hundreds of clients keep connections to does not end at a shell's usual limit."""
    program = PROGRAM.format(now=now, most=most)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == str((then, most))
