"""Readers of real data that the shop is fed with."""
