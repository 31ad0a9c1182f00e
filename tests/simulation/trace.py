"""What happened, one line an act: to be read after a failure, and hashed so that two runs can be compared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(slots=True)
class Trace:
    """The lines of one run."""

    lines: list[str] = field(default_factory=list)

    def add(self, seconds: float, who: str, what: str) -> None:
        """Somebody does something."""
        self.lines.append(f"{seconds:9.3f}  {who:<22} {what}")

    @property
    def digest(self) -> str:
        """The same for two runs in which the same happened."""
        return hashlib.blake2b("\n".join(self.lines).encode(), digest_size=8).hexdigest()
