"""When to try again: pure functions of the attempt number."""

from __future__ import annotations

import random
from datetime import timedelta


def backoff(attempt: int, *, first: timedelta, most: timedelta) -> timedelta:
    """Exponential delay before attempt ``attempt + 1``: first, twice first, … never above most.

    >>> backoff(3, first=timedelta(seconds=1), most=timedelta(minutes=1))
    datetime.timedelta(seconds=4)
    """
    doublings = min(max(attempt, 1) - 1, 30)
    return min(first * (1 << doublings), most)


def jitter(delay: timedelta, source: random.Random | None = None) -> timedelta:
    """Between half and all of a delay ("equal jitter"), so that many waiters do not wake as one."""
    return delay * (0.5 + 0.5 * (source or random).random())
