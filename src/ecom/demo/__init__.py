"""The demo: a real year of baskets goes through the shop, some of it badly on purpose, and the books are checked after.

Reading path: `mix` (what each order will meet) → `floor` (the process it needs) → `supply` (what there is to sell) →
`customers` (who place the orders) → `settling` (waiting for the end) → `report` and `display` (what is said about it)
→ `run` (all of it in order).
"""
