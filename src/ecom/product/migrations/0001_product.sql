-- Products. Collation "C" wherever something is ordered or compared: the same order on every machine, and a
-- byte comparison in place of a locale's. Indexes are partial: whoever lists never meets a deleted product.

CREATE TABLE product (
    id          text COLLATE "C" NOT NULL,
    name        text             NOT NULL,
    name_folded text COLLATE "C" NOT NULL,
    category    text COLLATE "C" NOT NULL,
    brand       text COLLATE "C" NOT NULL,
    price       numeric          NOT NULL,
    currency    text,
    description text,
    colors      text[]           NOT NULL,
    sizes       text[]           NOT NULL,
    image_urls  text[]           NOT NULL,
    active      boolean          NOT NULL,
    -- A deleted product stays as a tombstone for ever: made again under its id, it goes on counting its version.
    deleted     boolean          NOT NULL,
    version     bigint           NOT NULL,
    created_at  timestamptz      NOT NULL,
    updated_at  timestamptz      NOT NULL,
    CONSTRAINT product_pkey PRIMARY KEY (id),
    CONSTRAINT product_id_fits_its_event CHECK (char_length(id) BETWEEN 1 AND 100),
    CONSTRAINT product_has_a_name CHECK (deleted OR name <> ''),
    CONSTRAINT product_price_is_no_debt CHECK (price >= 0),
    CONSTRAINT product_tombstone_is_not_for_sale CHECK (NOT (deleted AND active)),
    CONSTRAINT product_version_starts_at_one CHECK (version >= 1)
);
-- One for each key that a list is sorted by (active has two values: no index helps); category and brand serve
-- as filters, too. Ties are ordered by id, so that pages neither repeat nor skip.
CREATE INDEX product_by_name ON product (name_folded, id) WHERE NOT deleted;
CREATE INDEX product_by_price ON product (price, id) WHERE NOT deleted;
CREATE INDEX product_by_category ON product (category, id) WHERE NOT deleted;
CREATE INDEX product_by_brand ON product (brand, id) WHERE NOT deleted;
CREATE INDEX product_by_update ON product (updated_at, id) WHERE NOT deleted;

-- What a list is made of; null filters nothing. PostgreSQL puts its body in the place of its call, so a list walks
-- the index of its order.
CREATE FUNCTION listed(wanted_category text, wanted_brand text, wanted_name text) RETURNS SETOF product
LANGUAGE sql STABLE AS $$
    SELECT *
      FROM product
     WHERE NOT deleted
       AND (wanted_category IS NULL OR category = wanted_category)
       AND (wanted_brand IS NULL OR brand = wanted_brand)
       AND (wanted_name IS NULL OR strpos(name_folded, wanted_name) > 0)
$$;
