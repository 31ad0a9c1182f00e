"""The gate of ecom.contracts for any CI: `ecom contracts check` with the same options, from the same function."""

import typer

from ecom.cli.contracts import check

if __name__ == "__main__":
    typer.run(check)
