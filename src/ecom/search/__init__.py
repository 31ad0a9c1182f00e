"""Search: how the products are found.

Owns:  the index (a document for each product, the vocabulary), its rebuild, the judged queries.
Says:  nothing.
Hears: product.upserted.v1, product.deleted.v1.
"""
