"""`python -m ecom.provider`: the simulator without the rest of the command line, as tests start it."""

import argparse
import sys
from datetime import timedelta
from pathlib import Path

from ecom.provider.ledger import LedgerError
from ecom.provider.plan import LATE
from ecom.provider.server import main

parser = argparse.ArgumentParser(prog="ecom provider", description="A simulated payment provider; no money moves.")
parser.add_argument("--port", type=int, default=0, help="0 takes a free port; HOME/provider.url says which")
parser.add_argument("--home", type=Path, required=True, help="folder of the ledger")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--late-seconds", type=float, default=LATE.total_seconds(), help="of card-timeout, card-late")
arguments = parser.parse_args()
try:
    main(
        port=arguments.port,
        home=arguments.home,
        seed=arguments.seed,
        late=timedelta(seconds=arguments.late_seconds),
    )
except (LedgerError, OSError) as error:
    sys.exit(f"ecom provider: {error}")
