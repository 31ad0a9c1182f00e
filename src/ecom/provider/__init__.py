"""Payment providers: the interface that payment speaks to, and a simulator that runs as a process of its own.

Reading path: `interface` (what a provider promises) → `simulated` (the client) → `server` (the process) →
`book` (what it decides) → `ledger` (what it may never forget, and what the audit reads).
"""
