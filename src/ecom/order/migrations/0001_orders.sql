-- Orders, what the saga decided about them, and the facts that were heard and decide nothing.

CREATE TABLE orders (
    id             text COLLATE "C" NOT NULL,
    user_id        bigint      NOT NULL,
    currency       text        NOT NULL,
    status         text        NOT NULL,
    reason         text,
    paid           boolean     NOT NULL,
    held           boolean     NOT NULL,
    sequence       bigint      NOT NULL,
    total_amount   numeric     NOT NULL,
    email          text,
    payment_method text,
    items          jsonb       NOT NULL,
    trace_id       text        NOT NULL,
    deadline       timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT orders_pkey PRIMARY KEY (id),
    CONSTRAINT order_id_fits_the_contract CHECK (length(id) <= 50),
    CONSTRAINT order_status_is_known
        CHECK (status IN ('PAYMENT_PENDING', 'CONFIRMED', 'FAILED', 'TIMED_OUT', 'CANCELLED')),
    CONSTRAINT order_confirmed_is_paid_and_held CHECK (status <> 'CONFIRMED' OR (paid AND held)),
    CONSTRAINT order_pending_is_not_both CHECK (status <> 'PAYMENT_PENDING' OR NOT (paid AND held)),
    CONSTRAINT order_end_has_a_reason
        CHECK ((status IN ('FAILED', 'TIMED_OUT', 'CANCELLED')) = (reason IS NOT NULL)),
    CONSTRAINT order_total_is_not_negative CHECK (total_amount >= 0 AND total_amount < 'Infinity'),
    CONSTRAINT order_sequence_starts_at_one CHECK (sequence >= 1)
) WITH (fillfactor = 80);
CREATE INDEX orders_of_user ON orders (user_id, created_at DESC, id DESC);
CREATE INDEX orders_awaiting ON orders (deadline) WHERE status = 'PAYMENT_PENDING';

-- One row for each change of status; its number is the number of the event that told of it.
CREATE TABLE order_transition (
    order_id    text COLLATE "C" NOT NULL,
    sequence    bigint      NOT NULL,
    from_status text        NOT NULL,
    to_status   text        NOT NULL,
    reason      text,
    at          timestamptz NOT NULL,
    CONSTRAINT order_one_winner_per_decision PRIMARY KEY (order_id, sequence),
    CONSTRAINT order_transition_is_allowed CHECK (
        (from_status = 'PAYMENT_PENDING' AND to_status IN ('CONFIRMED', 'FAILED', 'TIMED_OUT', 'CANCELLED'))
        OR (from_status = 'CONFIRMED' AND to_status = 'CANCELLED')
    )
);

CREATE TABLE idempotency_key (
    key        text COLLATE "C" NOT NULL,
    body_hash  bytea       NOT NULL,
    order_id   text        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT idempotency_key_pkey PRIMARY KEY (key)
);
CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at);

-- What payment said about money after the verdict: kept for whoever asks, decides nothing.
CREATE TABLE settlement_fact (
    event_id    uuid        NOT NULL,
    order_id    text COLLATE "C" NOT NULL,
    event_type  text        NOT NULL,
    payment_id  text        NOT NULL,
    amount      numeric     NOT NULL,
    currency    text        NOT NULL,
    reason      text,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT settlement_fact_pkey PRIMARY KEY (event_id)
);
CREATE INDEX settlement_fact_of_order ON settlement_fact (order_id);

-- Facts about orders that another order service owns.
CREATE TABLE foreign_fact (
    event_id    uuid        NOT NULL,
    order_id    text        NOT NULL,
    event_type  text        NOT NULL,
    producer    text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT foreign_fact_pkey PRIMARY KEY (event_id)
);
CREATE INDEX foreign_fact_by_age ON foreign_fact (recorded_at);
