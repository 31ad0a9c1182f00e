"""librdkafka's own lines, each once in a while: an absent broker is told of twenty times a second otherwise."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

SILENT_SECONDS = 30.0
KNOWN_MAX = 1000
_NUMBER = re.compile(r"\d+")


class Chatter(logging.Filter):
    """Lets a line pass unless the same client has said it, numbers aside, within the last half minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # A line begins with its kind and its client in brackets.
        client, _, words = record.getMessage().partition("] ")
        line = (client, _NUMBER.sub("", words))
        now = self._clock()
        if now - self._said.get(line, -SILENT_SECONDS) < SILENT_SECONDS:
            return False
        if len(self._said) >= KNOWN_MAX:
            self._said.clear()
        self._said[line] = now
        return True
