"""What the process writes while it runs: one line a fact, for a person on a terminal, as JSON for everything else."""

from __future__ import annotations

import logging
import os
import sys

import structlog

LEVEL = "ECOM_LOG"


def set_up(default: str = "INFO") -> None:
    """Send structlog and the libraries' logging to standard error; ECOM_LOG sets the level."""
    level = logging.getLevelNamesMapping().get(os.environ.get(LEVEL, default).upper(), logging.INFO)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    on_terminal = sys.stderr.isatty()
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer()
    )
    errors = [] if on_terminal else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *errors, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # A line and its end in one write: threads and logging's handler write to the same file.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[clean, *errors, last])
    )
    # The libraries' own chatter is worth reading only when something is wrong.
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
