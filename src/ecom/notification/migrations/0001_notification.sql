-- Notification's own tables. No index of `notification` mentions a column that PENDING → SENT changes, so that
-- this update stays on its page.

CREATE TABLE notification (
    event_id        uuid        NOT NULL,
    event_type      text        NOT NULL,
    order_id        text        NOT NULL,
    user_id         bigint      NOT NULL,
    recipient_email text        NOT NULL,
    subject         text        NOT NULL,
    body            text        NOT NULL,
    source_topic    text        NOT NULL,
    trace_id        text        NOT NULL,
    status          text        NOT NULL,
    retry_count     integer     NOT NULL,
    tries           integer     NOT NULL,
    sequence        bigint      NOT NULL,
    last_error      text,
    next_attempt_at timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    -- One notification for one event, whatever is delivered again.
    CONSTRAINT notification_pkey PRIMARY KEY (event_id),
    CONSTRAINT notification_status_is_known CHECK (status IN ('PENDING', 'SENT', 'FAILED', 'DEAD_LETTER')),
    CONSTRAINT notification_failed_has_its_time CHECK ((status = 'FAILED') = (next_attempt_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX notification_of_user ON notification (user_id, created_at);
CREATE INDEX notification_due ON notification (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE TABLE notification_dead_letter (
    id              uuid        NOT NULL,
    event_id        uuid        NOT NULL,
    event_type      text        NOT NULL,
    user_id         bigint      NOT NULL,
    recipient_email text        NOT NULL,
    subject         text        NOT NULL,
    body            text        NOT NULL,
    status          text        NOT NULL,
    retries         integer     NOT NULL,
    reason          text,
    source_topic    text        NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT notification_dead_letter_pkey PRIMARY KEY (id),
    CONSTRAINT notification_dead_letter_status_is_known CHECK (status IN ('DEAD_LETTER', 'REQUEUED'))
);
CREATE INDEX notification_dead_letter_by_age ON notification_dead_letter (created_at);

-- Who ordered, remembered from order.created. A row without a user is an order that is waited for: it is what
-- the beginning and the news of an order lock, so that neither misses the other.
CREATE TABLE order_recipient (
    order_id   text        NOT NULL,
    user_id    bigint,
    email      text,
    created_at timestamptz NOT NULL,
    CONSTRAINT order_recipient_pkey PRIMARY KEY (order_id)
);
CREATE INDEX order_recipient_awaited ON order_recipient (created_at) WHERE user_id IS NULL;

-- News that came before their order did.
CREATE TABLE waiting_news (
    event_id     uuid        NOT NULL,
    event_type   text        NOT NULL,
    order_id     text        NOT NULL,
    user_id      bigint,
    facts        bytea       NOT NULL,
    source_topic text        NOT NULL,
    trace_id     text        NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT waiting_news_pkey PRIMARY KEY (event_id)
);
CREATE INDEX waiting_news_of_order ON waiting_news (order_id);
CREATE INDEX waiting_news_by_age ON waiting_news (created_at);
