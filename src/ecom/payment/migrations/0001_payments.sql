-- Payment's own tables. fillfactor leaves room so that a change of stage stays on its page (HOT): on the road of a
-- sale no index mentions a column that changes after the authorization.

CREATE TABLE payment (
    order_id            text        NOT NULL,
    payment_id          text        NOT NULL,
    stage               text        NOT NULL,
    status              text        NOT NULL,
    settlement          text        NOT NULL,
    unknown_since       timestamptz,
    amount_minor        bigint,
    currency            text,
    user_id             bigint,
    payment_method      text,
    provider_payment_id text,
    idempotency_key     text,
    failure_reason      text,
    sequence            bigint      NOT NULL,
    trace_id            text        NOT NULL,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    CONSTRAINT payment_pkey PRIMARY KEY (order_id),
    CONSTRAINT payment_id_is_unique UNIQUE (payment_id),
    CONSTRAINT payment_stage_is_known CHECK (stage IN (
        'WAITING', 'AUTHORIZING', 'AUTHORIZING_ENDED', 'AUTHORIZED', 'CAPTURING', 'CAPTURING_ENDED', 'CAPTURED',
        'VOIDING', 'VOIDED', 'REFUNDING', 'REFUNDED', 'DECLINED', 'ENDED')),
    CONSTRAINT payment_status_is_known CHECK (status IN ('PENDING', 'AUTHORIZED', 'FAILED')),
    CONSTRAINT payment_settlement_is_known
        CHECK (settlement IN ('NONE', 'UNKNOWN', 'CAPTURED', 'VOIDED', 'REFUNDED')),
    CONSTRAINT payment_unknown_has_its_time CHECK ((settlement = 'UNKNOWN') = (unknown_since IS NOT NULL)),
    CONSTRAINT payment_captured_was_captured
        CHECK (settlement <> 'CAPTURED' OR stage IN ('CAPTURED', 'REFUNDING')),
    CONSTRAINT payment_pending_until_answered
        CHECK ((status = 'PENDING') = (stage IN ('WAITING', 'AUTHORIZING', 'AUTHORIZING_ENDED'))),
    CONSTRAINT payment_asked_has_its_amount
        CHECK (stage IN ('WAITING', 'ENDED') OR (amount_minor IS NOT NULL AND user_id IS NOT NULL)),
    CONSTRAINT payment_amount_is_not_negative CHECK (amount_minor >= 0),
    CONSTRAINT payment_amount_has_its_currency CHECK ((amount_minor IS NULL) = (currency IS NULL)),
    CONSTRAINT payment_sequence_is_a_count CHECK (sequence >= 0)
) WITH (fillfactor = 70);
CREATE INDEX payment_by_provider_id ON payment (provider_payment_id) WHERE provider_payment_id IS NOT NULL;
CREATE INDEX payment_unknown ON payment (order_id) WHERE unknown_since IS NOT NULL;

-- An idempotency key of a client belongs to one order for ever.
CREATE TABLE intent_key (
    key        text        NOT NULL,
    order_id   text        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT intent_key_pkey PRIMARY KEY (key)
);

CREATE TABLE webhook_event (
    provider_event_id text        NOT NULL,
    order_id          text        NOT NULL,
    event_type        text        NOT NULL,
    received_at       timestamptz NOT NULL,
    CONSTRAINT webhook_event_pkey PRIMARY KEY (provider_event_id)
);
CREATE INDEX webhook_event_by_age ON webhook_event USING brin (received_at);

-- An operation that the provider has not answered after so many tries. Its intent goes on asking: the row only
-- tells people. REQUEUED: asked again by an operator, or answered after all.
CREATE TABLE provider_dead_letter (
    id                  bigint GENERATED ALWAYS AS IDENTITY,
    kind                text        NOT NULL,
    key                 text        NOT NULL,
    order_id            text        NOT NULL,
    attempts            integer     NOT NULL,
    status              text        NOT NULL,
    failure_reason      text,
    requeued_payment_id text,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    resolved_at         timestamptz,
    CONSTRAINT provider_dead_letter_pkey PRIMARY KEY (id),
    CONSTRAINT provider_dead_letter_status_is_known CHECK (status IN ('PENDING', 'REQUEUED')),
    CONSTRAINT provider_dead_letter_resolved_has_its_time
        CHECK ((status = 'PENDING') = (resolved_at IS NULL))
);
CREATE UNIQUE INDEX provider_dead_letter_one_open ON provider_dead_letter (key) WHERE status = 'PENDING';
CREATE INDEX provider_dead_letter_by_key ON provider_dead_letter (key);

-- What an operator has switched by hand; without a row the configuration holds.
CREATE TABLE provider_switch (
    single     boolean     NOT NULL,
    outage     boolean     NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT provider_switch_pkey PRIMARY KEY (single),
    CONSTRAINT provider_switch_is_one CHECK (single)
);
