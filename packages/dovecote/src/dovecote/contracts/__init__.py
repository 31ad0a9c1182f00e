"""Event contracts: what stands on the wire, kept by the writer and checked before anything ships."""

from dovecote.contracts.registry import REGISTRY_FILE, Contract, Contracts

__all__ = ["REGISTRY_FILE", "Contract", "Contracts"]
