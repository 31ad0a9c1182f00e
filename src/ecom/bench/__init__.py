"""Benchmarks: one module for each claim of the README, run on real servers by `ecom bench`."""
