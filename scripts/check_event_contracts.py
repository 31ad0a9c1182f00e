"""Checks registry, schemas, Structs and services against each other; reports go to build-artifacts/."""

import sys
from pathlib import Path

from ecom.contracts.check import check
from ecom.contracts.report import write


def main() -> int:
    """Print every error with its mend; 1 where there is any."""
    verdict = check()
    write(verdict, Path(__file__).resolve().parents[1] / "build-artifacts")
    for problem in verdict.problems:
        print(problem, file=sys.stderr)
    print(f"{len(verdict.events)} event contracts, {len(verdict.problems)} errors")
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
