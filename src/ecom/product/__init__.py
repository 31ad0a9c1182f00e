"""Product: what the shop sells.

Owns:  products, each with a version that counts its changes; a deleted one leaves its id and version.
Says:  product.upserted.v1, product.deleted.v1.
Hears: nothing.
"""
