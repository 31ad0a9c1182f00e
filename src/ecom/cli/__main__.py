"""`python -m ecom.cli`: what the launcher runs."""

from ecom.cli import main

main()
