"""A service as the composition root gets it: what it is (its blueprint) and what it answers over HTTP (its routes)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dovecote.database import Database
    from dovecote.service import Blueprint


@dataclass(frozen=True, slots=True)
class Built:
    """Made by each ``ecom.<service>.service.build(environ)``; the routes wait for a connected database."""

    blueprint: Blueprint
    routes: Callable[[Database], Sequence[Any]]
