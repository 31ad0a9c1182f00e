"""What the product service hears: nothing. The catalogue changes only when somebody changes it."""

from __future__ import annotations

from dovecote.handlers import Handlers

handlers = Handlers()
