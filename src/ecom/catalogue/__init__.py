"""The catalogue in bulk: a data set's products are put through the product service's own layer, and stock for them.

Reading path: `importing` (articles become products and stock) → `announcing` (products said again) → `pace` (neither
runs away from the relay) → `store` (what is read of the product service's tables).
"""
