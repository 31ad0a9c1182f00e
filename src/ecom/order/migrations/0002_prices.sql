-- What products cost, as the product service's events said last. A deleted product stays, as a tombstone, so that an
-- older event that comes late finds a newer word than its own.

CREATE TABLE price (
    product_id  text COLLATE "C" NOT NULL,
    sku         text        NOT NULL,
    price       numeric,
    currency    text,
    active      boolean     NOT NULL,
    deleted     boolean     NOT NULL,
    version     bigint,
    occurred_at timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT price_pkey PRIMARY KEY (product_id),
    CONSTRAINT price_is_an_amount CHECK (price >= 0 AND price < 'Infinity'),
    CONSTRAINT price_of_a_tombstone_is_none CHECK (deleted = (price IS NULL) AND NOT (deleted AND active))
) WITH (fillfactor = 80);
