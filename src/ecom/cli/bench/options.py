"""The options that every bench has."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")]
Seed = Annotated[int, typer.Option(help="The same seed asks the same.")]
