"""The books compared: what must hold in orders, money, stock and events, each as a question that must find nothing.

Reading path: `invariants` (the table of all questions) → `stock`, `orders`, `money`, `events`, `telling`, `effects`,
`offsets`, `aside`, `mails`, `catalogue`, `clients`, `sessions` (a function each) → `evidence` (what they look at) →
`store`, `messaging_store` (the SQL). It is the one place that reads across schemas; it writes nothing. What money
really did is asked of the provider's own ledger, which payment cannot write, and what clients saw of their own journal.
"""
