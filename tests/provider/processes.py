"""The simulator as a real process, for every test that needs a provider."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# A busy machine takes ten times as long as a quiet one.
STARTED_SECONDS_MAX = 60.0


@dataclass
class ProviderProcess:
    """`python -m ecom.provider` on a free port."""

    home: Path
    late_seconds: float = 3.0
    seed: int = 7
    url: str = ""
    _child: subprocess.Popen[bytes] | None = None

    def start(self) -> "ProviderProcess":
        address = self.home / "provider.url"
        address.unlink(missing_ok=True)
        self._child = subprocess.Popen(
            [
                *(sys.executable, "-m", "ecom.provider", "--home", str(self.home)),
                *("--seed", str(self.seed), "--late-seconds", str(self.late_seconds)),
            ],
        )
        deadline = time.monotonic() + STARTED_SECONDS_MAX
        while not address.exists():
            assert self._child.poll() is None, "the provider ended before it listened"
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError("the provider did not start in time")
            try:
                self._child.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        self.url = address.read_text().strip()
        return self

    def kill(self) -> None:
        """kill -9: nothing is flushed, nothing is said."""
        assert self._child is not None
        self._child.kill()
        self._child.wait(5)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._child is not None
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        return self._child.wait(10)
