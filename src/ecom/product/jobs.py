"""What the product service does by the clock: nothing of its own. Tombstones stay, for their versions count on."""

from __future__ import annotations

from collections.abc import Sequence

from dovecote.schedule import Job

jobs: Sequence[Job] = ()
