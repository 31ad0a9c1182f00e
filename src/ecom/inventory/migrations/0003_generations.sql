-- Beside a transaction that stays open no version of a row is taken away, and whoever comes to a row by its key walks
-- all that it has been since. So the key has a part that moves on with every sixteenth change: who comes for the newest
-- generation walks sixteen at most, and fifteen changes of sixteen touch no index (HOT).
ALTER TABLE stock
    ADD COLUMN changes    bigint NOT NULL DEFAULT 0,
    ADD COLUMN generation bigint NOT NULL GENERATED ALWAYS AS (changes / 16) STORED,
    DROP CONSTRAINT stock_pkey,
    ADD CONSTRAINT stock_pkey PRIMARY KEY (sku, generation);

-- One row per SKU that ever was on stock, and for ever: that makes its row in stock the only one.
CREATE TABLE shelf (
    sku text NOT NULL,
    CONSTRAINT shelf_pkey PRIMARY KEY (sku)
);
INSERT INTO shelf (sku) SELECT sku FROM stock;
