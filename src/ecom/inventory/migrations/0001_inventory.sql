-- Inventory's own tables. fillfactor leaves room so that a change of status or count stays on its page (HOT):
-- no index mentions a column that changes on the common road.

CREATE TABLE stock (
    sku        text        NOT NULL,
    available  bigint      NOT NULL,
    reserved   bigint      NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT stock_pkey PRIMARY KEY (sku),
    CONSTRAINT stock_never_oversold CHECK (available >= 0),
    CONSTRAINT stock_reserved_is_a_count CHECK (reserved >= 0)
) WITH (fillfactor = 70);

-- Append-only: every change of what EXISTS (not of who it is promised to). At any time, for each SKU,
-- available + reserved + what is CONFIRMED = the sum of its movements (invariant I2).
CREATE TABLE stock_movement (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku        text        NOT NULL,
    delta      bigint      NOT NULL,
    trace_id   text        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT movement_changes_something CHECK (delta <> 0)
);
CREATE INDEX stock_movement_of_sku ON stock_movement (sku);

-- One row per order: counts the events said about it, remembers a payment that came first, and is the
-- tombstone of an order that ended before it began. expires_at says when the row lapses: a hold gives its
-- stock back, a memory (AWAITED, ENDED) is forgotten once nothing can be delivered again.
CREATE TABLE order_hold (
    order_id   text        NOT NULL,
    state      text        NOT NULL,
    paid       boolean     NOT NULL,
    sequence   bigint      NOT NULL,
    expires_at timestamptz,
    trace_id   text        NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT order_hold_pkey PRIMARY KEY (order_id),
    CONSTRAINT hold_state_is_known
        CHECK (state IN ('AWAITED', 'HELD', 'CONFIRMED', 'REFUSED', 'RELEASED', 'EXPIRED', 'ENDED')),
    CONSTRAINT hold_lapses_while_open CHECK ((state IN ('AWAITED', 'HELD', 'ENDED')) = (expires_at IS NOT NULL)),
    CONSTRAINT hold_confirmed_is_paid CHECK (state <> 'CONFIRMED' OR paid)
) WITH (fillfactor = 70);
CREATE INDEX order_hold_lapsing ON order_hold (expires_at) WHERE expires_at IS NOT NULL;

-- reservation_id is `orderId:sku`, one per order and SKU; a reservation made by hand names itself. No foreign
-- key to stock: a line is only ever written under the lock of its stock row, and stock rows are never deleted.
CREATE TABLE reservation (
    reservation_id text        NOT NULL,
    order_id       text,
    sku            text        NOT NULL,
    quantity       bigint      NOT NULL,
    status         text        NOT NULL,
    expires_at     timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT reservation_pkey PRIMARY KEY (reservation_id),
    CONSTRAINT reservation_one_per_order_and_sku CHECK (order_id IS NULL OR reservation_id = order_id || ':' || sku),
    CONSTRAINT reservation_holds_something CHECK (quantity > 0),
    CONSTRAINT reservation_status_is_known CHECK (status IN ('RESERVED', 'CONFIRMED', 'RELEASED'))
) WITH (fillfactor = 70);
CREATE INDEX reservation_of_order ON reservation (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX reservation_by_hand ON reservation (created_at) WHERE order_id IS NULL;
-- expires_at is emptied when a reservation made by hand ends; one of an order expires with its hold.
CREATE INDEX reservation_expiring ON reservation (expires_at) WHERE order_id IS NULL AND expires_at IS NOT NULL;
