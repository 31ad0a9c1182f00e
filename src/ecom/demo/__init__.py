"""The demo: a real year of baskets goes through the shop, some of it badly on purpose, and the books are checked after.

Reading path: `mix` (what each order will meet) → `shop` (the processes it needs) → `customers` (who place the orders)
→ `settling` (waiting for the end) → `summary` (what is said about it) → `run` (all of it in order).
"""
