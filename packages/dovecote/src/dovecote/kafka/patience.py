"""Questions to a broker that has just started or changed: asked again while the error passes by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TypeVar

from confluent_kafka import KafkaException

T = TypeVar("T")

AGAIN_SECONDS = 0.1  # there is nothing to wait on


def patiently(ask: Callable[[], T], *, seconds: float, passing: Collection[int] | None = None) -> T:
    """The answer; asked again for so long while the error's code is one of those that pass, or (None) whatever it is.

    Raises KafkaException, the last one, where it does not pass.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except KafkaException as error:
            if (passing is not None and error.args[0].code() not in passing) or time.monotonic() > deadline:
                raise
        time.sleep(AGAIN_SECONDS)
