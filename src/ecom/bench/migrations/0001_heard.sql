-- What a bench's handler writes: one row for each order it heard of.
CREATE TABLE heard (
    order_id text PRIMARY KEY,
    user_id  bigint NOT NULL
);
